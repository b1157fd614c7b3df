import { assert, type Address } from '@troupe/core';
import { isEmbedding, isPositionTable, streamOf, type StreamName, type Unit } from '@troupe/spec';
import type { PassSelf } from './events.ts';
import type { Computing, PassContext } from './machine.ts';
import type { PassParts } from './pass-parts.ts';

/** A segment of one of the stage's groups, and who brings its weights and takes its gradients. */
interface Wanted {
  readonly courier: Address;
  readonly isGathered: boolean;
  readonly segment: number;
}

/** What is computed together: the embedding, a layer, or what is behind all layers. */
type Part = number | 'embedding' | 'tail';

/** What a state reads, what it has gradients of, and the part behind it. */
interface Use {
  readonly reads: readonly Part[];
  readonly writes: readonly Part[];
  readonly ahead: Part | null;
}

const next: Readonly<Record<Computing, (context: PassContext) => Use>> = {
  attending: ({ layer, firstLayer, lastLayer, hasEmbedding, hasHead }) => {
    const behind = hasHead ? ('tail' as const) : null;
    return {
      reads: layer === firstLayer && hasEmbedding ? ['embedding', layer] : [layer],
      writes: [],
      ahead: layer < lastLayer ? layer + 1 : behind,
    };
  },
  judging: () => ({ reads: ['tail'], writes: [], ahead: null }),
  heading: ({ lastLayer }) => ({ reads: ['tail'], writes: ['tail'], ahead: lastLayer }),
  backward: ({ layer, firstLayer }) => ({
    reads: [layer],
    writes: [layer],
    ahead: layer === firstLayer ? null : layer - 1,
  }),
  unembedding: () => ({ reads: [], writes: ['embedding'], ahead: null }),
};

/**
 * What a pass computes with next, where it does not lie here for good: asked for before each part of the chunk, left behind it.
 *
 * REP-3 of this side: kernels of a part are queued once all of its segments are ready, and these are left only when the kernels have run.
 */
export class WantedSegments {
  readonly #self: PassSelf;
  readonly #parts: PassParts;
  readonly #byPart = new Map<Part | StreamName, readonly Wanted[]>();
  /** Segments whose weights the pass holds. */
  #held: Wanted[] = [];
  #missing = 0;

  constructor(self: PassSelf, parts: PassParts) {
    this.#self = self;
    this.#parts = parts;
  }

  /** Leaves what was computed with, and asks for what comes next. */
  want(context: PassContext): void {
    this.leave(context);
    const { reads, writes, ahead } = next[context.toward](context);
    const { step, attempt, version, microbatch } = context;
    const place = { step, attempt, version, microbatch };
    const wanted = new Map<string, Wanted & { readonly weights: boolean; readonly gradients: boolean }>();
    const add = (each: Wanted, use: 'weights' | 'gradients'): void => {
      const key = `${each.courier} ${each.segment}`;
      const known = wanted.get(key) ?? { ...each, weights: false, gradients: false };
      wanted.set(key, { ...known, [use]: true });
    };
    for (const each of reads.flatMap((part) => this.#usedIn(part))) if (each.isGathered) add(each, 'weights');
    for (const each of writes.flatMap((part) => this.#usedIn(part))) add(each, 'gradients');
    this.#missing = wanted.size;
    if (wanted.size === 0) this.#self.post('segments.here', place);
    for (const { courier, segment, weights, gradients, isGathered } of wanted.values()) {
      if (weights) this.#held.push({ courier, segment, isGathered });
      const follows = ahead === null ? undefined : this.#of(ahead).find((each) => each.courier === courier);
      this.#self.tell(courier, 'segment.want', {
        ...place,
        body: { segment, weights, gradients, ...(follows === undefined ? {} : { next: follows.segment }) },
      });
    }
  }

  /** One of them is ready. */
  take({ step, attempt, version, microbatch }: PassContext): void {
    assert(this.#missing > 0, 'a segment is ready that was wanted', { step, microbatch });
    this.#missing--;
    if (this.#missing === 0) this.#self.post('segments.here', { step, attempt, version, microbatch });
  }

  /** The kernels that read what is held have run. */
  leave({ step, attempt, version, microbatch }: PassContext): void {
    for (const { courier, segment } of this.#held.splice(0))
      this.#self.tell(courier, 'segment.left', { step, attempt, version, microbatch, body: { segment } });
  }

  abandon(): void {
    this.#held = [];
    this.#missing = 0;
  }

  /** A part's own, and the table of positions that a layer's stream has. */
  #usedIn(part: Part): readonly Wanted[] {
    if (typeof part !== 'number') return this.#of(part);
    return [...this.#of(part), ...this.#of(streamOf(this.#parts.worker.job.model, part))];
  }

  #of(part: Part | StreamName): readonly Wanted[] {
    let found = this.#byPart.get(part);
    if (found === undefined) {
      found = this.#find(part);
      this.#byPart.set(part, found);
    }
    return found;
  }

  #find(part: Part | StreamName): readonly Wanted[] {
    const { worker, parameters } = this.#parts;
    const { layout, model } = worker.job;
    const belongs = (unit: Unit): boolean => {
      if (part === 'embedding') return isEmbedding(unit);
      if (part === 'tail') return unit.layer === null && (!isEmbedding(unit) || model.tiedHead);
      if (isPositionTable(unit)) return streamOf(model, unit.layer ?? 0) === part;
      return unit.layer === part;
    };
    return parameters.groups.flatMap(({ group }) => {
      const courier = layout.courierOf(group, worker.rank);
      if (courier === null) return [];
      const isGathered = layout.isGathered(group);
      return group.segments
        .filter(({ flat }) => flat.units.some(belongs))
        .map(({ index }) => ({ courier, isGathered, segment: index }));
    });
  }
}
