import { assert } from '@troupe/core';

/**
 * Order in which a stage works. `1f1b`: a backward pass as soon as there is one. `gpipe`: all forward passes first. `interleaved`: 1F1B over
 * several chunks of layers a stage. `zero-bubble`: 1F1B whose weight gradients wait for the time in which a stage has nothing else to do.
 */
export type PipelineKind = '1f1b' | 'gpipe' | 'interleaved' | 'zero-bubble';

/**
 * One microbatch through one chunk of a stage's layers, in one direction. `weights`: the weight gradients of a backward pass that has sent
 * the gradient of its inputs on already.
 */
export interface Operation {
  readonly direction: 'forward' | 'backward' | 'weights';
  readonly chunk: number;
  readonly microbatch: number;
}

/** Of which stage of which pipeline. */
export interface PipelineShape {
  readonly kind: PipelineKind;
  readonly stages: number;
  readonly stage: number;
  readonly microbatches: number;
  /** Runs of layers that a stage has. */
  readonly chunks: number;
}

const operation = (direction: Operation['direction'], chunk: number, microbatch: number): Operation => ({
  direction,
  chunk,
  microbatch,
});

const range = (count: number): readonly number[] => Array.from({ length: count }, (_, index) => index);

/** Forward passes before the first backward pass, then in turn, then the backward passes that are left. */
function inTurn(
  forward: readonly Operation[],
  backward: readonly Operation[],
  warmUp: number,
): readonly Operation[] {
  const first = Math.min(warmUp, forward.length);
  const steady = forward.slice(first).flatMap((each, index) => [each, backward[index] ?? each]);
  return [...forward.slice(0, first), ...steady, ...backward.slice(forward.length - first)];
}

function oneForwardOneBackward({ stages, stage, microbatches }: PipelineShape): readonly Operation[] {
  const all = range(microbatches);
  const forward = all.map((each) => operation('forward', 0, each));
  return inTurn(
    forward,
    all.map((each) => operation('backward', 0, each)),
    stages - 1 - stage,
  );
}

function allForwardFirst({ microbatches, chunks }: PipelineShape): readonly Operation[] {
  const order = range(chunks);
  return [
    ...order.flatMap((chunk) => range(microbatches).map((each) => operation('forward', chunk, each))),
    ...order
      .toReversed()
      .flatMap((chunk) => range(microbatches).map((each) => operation('backward', chunk, each))),
  ];
}

/**
 * Groups of as many microbatches as there are stages go through one chunk after the other.
 *
 * @see Narayanan et al. 2021, arXiv:2104.04473, section 2.2
 */
function interleaved({ stages, stage, microbatches, chunks }: PipelineShape): readonly Operation[] {
  assert(microbatches % stages === 0, 'interleaved stages take whole groups of microbatches', {
    microbatches,
    stages,
  });
  const group = stages * chunks;
  const at = (index: number) => ({
    chunk: Math.floor((index % group) / stages),
    microbatch: Math.floor(index / group) * stages + (index % stages),
  });
  const all = range(microbatches * chunks).map(at);
  const forward = all.map(({ chunk, microbatch }) => operation('forward', chunk, microbatch));
  const backward = all.map(({ chunk, microbatch }) => operation('backward', chunks - 1 - chunk, microbatch));
  return inTurn(forward, backward, (stages - stage - 1) * 2 + (chunks - 1) * stages);
}

/**
 * ZB-H1: stage i computes weight gradients from its backward pass i + 1 on, so all stages have as many passes in flight as the first one of
 * 1F1B, and what is left of the bubble is (pp - 1)·(F + B - W).
 *
 * @see Qi et al. 2023, arXiv:2401.10241, section 2
 */
function zeroBubble(shape: PipelineShape): readonly Operation[] {
  const operations: Operation[] = [];
  let weights = 0;
  for (const each of oneForwardOneBackward(shape)) {
    operations.push(each);
    if (each.direction === 'backward' && each.microbatch >= shape.stage)
      operations.push(operation('weights', 0, weights++));
  }
  while (weights < shape.microbatches) operations.push(operation('weights', 0, weights++));
  return operations;
}

const programs: Readonly<Record<PipelineKind, (shape: PipelineShape) => readonly Operation[]>> = {
  '1f1b': oneForwardOneBackward,
  gpipe: allForwardFirst,
  interleaved,
  'zero-bubble': zeroBubble,
};

/**
 * What a stage does in a step, in order.
 *
 * PIP-1: every microbatch goes forward through every chunk, then backward; backward passes of a chunk come in the order of microbatches. PIP-2:
 * stages that follow their programs in order never wait for each other in a circle.
 */
export function program(shape: PipelineShape): readonly Operation[] {
  const { kind, chunks } = shape;
  assert(chunks === 1 || kind === 'interleaved' || kind === 'gpipe', 'the order takes so many chunks', {
    kind,
    chunks,
  });
  return programs[kind](shape);
}

/** What an evaluation does: forward passes alone. */
export const forwardProgram = (passes: number, chunks: number): readonly Operation[] =>
  range(passes).flatMap((pass) => range(chunks).map((chunk) => operation('forward', chunk, pass)));

/** An operation ends what its microbatch needs in a chunk. */
const ends = (operations: readonly Operation[]): Operation['direction'] =>
  operations.some(({ direction }) => direction === 'weights') ? 'weights' : 'backward';

/**
 * Room for the microbatches that a stage has begun and not ended, by chunk: which slot each pass has, and how many a chunk needs.
 *
 * A slot is taken by the forward pass and free again behind the last operation of the same microbatch and chunk; and as many operations
 * later as may begin before that one has ended.
 */
export interface Slots {
  /** Of each chunk. */
  readonly counts: readonly number[];
  readonly of: (chunk: number, microbatch: number) => number;
}

/** @param width - operations that may run at a time */
export function slotsOf(operations: readonly Operation[], chunks: number, width = 1): Slots {
  const end = ends(operations);
  const taken = range(chunks).map(() => new Map<number, number>());
  const free = range(chunks).map((): number[] => []);
  const counts = range(chunks).map(() => 0);
  /** Slots that are free from an operation on. */
  const later: { readonly from: number; readonly free: () => void }[] = [];
  for (const [index, { direction, chunk, microbatch }] of operations.entries()) {
    while ((later[0]?.from ?? Infinity) <= index) later.shift()?.free();
    const [mine, open] = [taken[chunk], free[chunk]];
    assert(mine && open, 'an operation is of a chunk', { chunk, chunks });
    if (direction === 'forward') {
      open.sort((a, b) => a - b);
      const count = counts[chunk] ?? 0;
      const slot = open.shift() ?? count;
      counts[chunk] = Math.max(count, slot + 1);
      mine.set(microbatch, slot);
    } else if (direction === end)
      later.push({ from: index + width, free: () => void open.push(mine.get(microbatch) ?? 0) });
  }
  return {
    counts,
    of: (chunk, microbatch) => {
      const slot = taken[chunk]?.get(microbatch);
      assert(slot !== undefined, 'a pass is in the program', { chunk, microbatch });
      return slot;
    },
  };
}

/** Passes that a stage has begun and not ended, at most. */
export function inFlight(operations: readonly Operation[]): number {
  const end = ends(operations);
  let [open, most] = [0, 0];
  for (const { direction } of operations) {
    if (direction === 'forward') most = Math.max(most, ++open);
    else if (direction === end) open--;
  }
  return most;
}
