import { assert } from '@troupe/core';
import { GenerationError } from './errors.ts';
import type { TextModel } from './text-model.ts';
import type { Continuation, WrittenText } from './written-text.ts';

/** A continuation that is being written, and where. */
interface Running {
  readonly index: number;
  readonly continuation: Continuation;
  /** What an encoder reads. */
  readonly source: readonly number[] | undefined;
  /** All that it may use. */
  readonly own: readonly number[];
  /** Those of its texts. */
  slots: readonly number[];
}

/** One slot for each new text: the first that continues an old one stays in its slot, others take free ones, into which theirs is forked. */
export function slotsOf(
  old: readonly number[],
  parents: readonly number[],
  own: readonly number[],
): { readonly slots: readonly number[]; readonly forks: readonly (readonly [from: number, to: number])[] } {
  const kept = new Set(parents.map((parent) => old[parent]));
  const free = own.filter((slot) => !kept.has(slot));
  const forks: (readonly [number, number])[] = [];
  const taken = new Set<number>();
  const slots = parents.map((parent) => {
    const from = old[parent];
    assert(from !== undefined, 'a text continues one of those before it', { parent });
    if (!taken.has(from)) {
      taken.add(from);
      return from;
    }
    const to = free.shift();
    assert(to !== undefined, 'a continuation has a slot for each of its texts', { own: own.length });
    forks.push([from, to]);
    return to;
  });
  return { slots, forks };
}

/** Starts what there are slots for, in order. */
function start(waiting: Running[], free: number[]): Running[] {
  const started: Running[] = [];
  for (let next = waiting[0]; next !== undefined; next = waiting[0]) {
    const { width } = next.continuation;
    if (width > free.length) break;
    waiting.shift();
    const own = free.splice(0, width);
    started.push({ ...next, own, slots: own.slice(0, next.continuation.texts.length) });
  }
  return started;
}

async function advance(model: TextModel, running: readonly Running[]): Promise<void> {
  const texts = running.flatMap(({ continuation, source, slots }) =>
    continuation.texts.map((ids, at) => ({
      slot: slots[at] ?? 0,
      ids,
      ...(source === undefined ? {} : { source }),
    })),
  );
  if (texts.length === 0) return;
  const logits = await model.nextLogits(texts);
  let first = 0;
  const forks: (readonly [from: number, to: number])[] = [];
  for (const each of running) {
    const count = each.continuation.texts.length;
    if (count === 0) continue;
    const parents = each.continuation.take(logits.slice(first, first + count));
    first += count;
    const moved = slotsOf(each.slots, parents, each.own);
    forks.push(...moved.forks);
    each.slots = moved.slots;
  }
  // Logits are looked at no longer.
  for (const [from, to] of forks) await model.fork?.(from, to);
}

/**
 * Writes texts together: as many at once as the model has slots for, and when one is finished, the next takes its slots.
 *
 * @param sources - of each what an encoder reads, of a model that has one
 * @returns what was written of each, in their order, as soon as it and all before it are finished
 * @throws {GenerationError} TROUPE_MODEL_GENERATION when one of them needs more slots than there are, or logits are not finite
 */
export async function* continueTexts(
  model: TextModel,
  continuations: readonly Continuation[],
  sources: readonly (readonly number[] | undefined)[] = [],
): AsyncGenerator<readonly WrittenText[], void, void> {
  const widest = Math.max(0, ...continuations.map(({ width }) => width));
  if (widest > model.slots)
    throw new GenerationError(
      `beams ${widest} is more than the ${model.slots} texts that can be written together here; choose fewer beams`,
      { beams: widest, slots: model.slots },
    );
  const waiting = continuations.map((continuation, index): Running => ({
    index,
    continuation,
    source: sources[index],
    own: [],
    slots: [],
  }));
  const free = Array.from({ length: model.slots }, (_, slot) => slot);
  const finished = new Map<number, readonly WrittenText[]>();
  let running: Running[] = [];
  for (let next = 0; next < continuations.length;) {
    running.push(...start(waiting, free));
    await advance(model, running);
    for (const { index, continuation, own } of running) {
      if (continuation.texts.length > 0) continue;
      finished.set(index, continuation.written);
      free.push(...own);
      free.sort((a, b) => a - b);
    }
    running = running.filter(({ continuation }) => continuation.texts.length > 0);
    for (let found = finished.get(next); found !== undefined; found = finished.get(next)) {
      finished.delete(next);
      next += 1;
      yield found;
    }
  }
}
