import { JoinedTargets, JoinedWeights, type UnitTargets, type UnitWeights } from '@troupe/model';
import type { KernelCall } from '@troupe/kernel-set';
import type { Unit } from '@troupe/spec';
import { AlikeGradients, type Microbatch } from './alike-gradients.ts';
import type { Worker } from './worker.ts';
import type { GroupBuffers } from './group-buffers.ts';
import type { Range } from './gradients.ts';

/** A part of the gradients of one group. */
export interface GroupRange {
  readonly buffers: GroupBuffers;
  readonly range: Range;
}

/** The parameter groups that a stage computes with, seen as one: kernels ask for units, whichever group they are in. */
export class StageParameters {
  readonly groups: readonly GroupBuffers[];
  readonly #weights = new Map<number, UnitWeights>();
  readonly #gradients = new Map<number, UnitTargets>();

  /** Of what tensor peers hold alike; null without peers. */
  readonly #alike: AlikeGradients | null;

  constructor(groups: readonly GroupBuffers[], worker: Worker) {
    this.groups = groups;
    const alike = groups.find(({ group }) => group.name === 'replicated');
    this.#alike = alike === undefined ? null : new AlikeGradients(worker, alike);
  }

  /** What makes gradients of these ranges complete: those that tensor peers compute alike are counted once. */
  complete(ranges: readonly GroupRange[], of: Microbatch): KernelCall[] {
    const alike = this.#alike;
    if (alike === null) return [];
    return ranges.flatMap(({ buffers, range }) =>
      buffers.group.name === 'replicated' ? alike.count(range, of) : [],
    );
  }

  /** Of the gradients that every tensor peer must have alike; 0 without peers. */
  digest(): number {
    return this.#alike?.digest() ?? 0;
  }

  /** Elements of all groups. */
  get numElements(): number {
    return this.groups.reduce((sum, { group }) => sum + group.flat.length, 0);
  }

  weights(version: number): UnitWeights {
    const [first, ...others] = this.groups;
    if (first !== undefined && others.length === 0) return first.weights.at(version);
    const make = (): JoinedWeights =>
      new JoinedWeights(
        this.groups.map(({ group, weights }) => ({ layout: group.flat, views: weights.at(version) })),
      );
    if (this.groups.some(({ weights }) => weights.kind === 'gathered')) return make();
    const key = version % 2;
    let found = this.#weights.get(key);
    if (found === undefined) {
      found = make();
      this.#weights.set(key, found);
    }
    return found;
  }

  gradients(microbatch: number): UnitTargets {
    const [first, ...others] = this.groups;
    if (first !== undefined && others.length === 0) return first.gradients.of(microbatch);
    let found = this.#gradients.get(microbatch);
    if (found === undefined) {
      const alike = this.#alike;
      found = new JoinedTargets(
        this.groups.flatMap(({ group, gradients }) =>
          alike !== null && group.name === 'replicated'
            ? alike.of(microbatch).map(({ units, views }) => ({ layout: { units }, views }))
            : [{ layout: group.flat, views: gradients.of(microbatch) }],
        ),
      );
      this.#gradients.set(microbatch, found);
    }
    return found;
  }

  /** Where consecutive units lie, in each group that has any. */
  ranges(belongs: (unit: Unit) => boolean): readonly GroupRange[] {
    return this.groups.flatMap((buffers) => {
      const range = buffers.group.rangeOf(belongs);
      return range === null ? [] : [{ buffers, range }];
    });
  }
}
