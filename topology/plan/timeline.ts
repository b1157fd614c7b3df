import { assert } from '@troupe/core';
import { program, type Operation, type PipelineKind } from '../pipeline.ts';

/** How long the operations of one chunk of one stage take, of one microbatch. */
export type OperationTimes = Readonly<Record<Operation['direction'], number>>;

/** A step of a pipeline in which every stage begins what comes next as soon as its inputs are there. */
export interface Timeline {
  readonly end: number;
  /** Time that each stage computes. */
  readonly busy: readonly number[];
  /** Share of the stages' time in which they wait. */
  readonly bubble: number;
}

interface Pipeline {
  readonly kind: PipelineKind;
  readonly microbatches: number;
  readonly chunks: number;
}

/**
 * Plays the programs of all stages against each other.
 *
 * @param times_SC - by stage, then by chunk; `weights` counts in zero-bubble pipelines alone, whose backward halves are apart
 */
export function timelineOf(
  { kind, microbatches, chunks }: Pipeline,
  times_SC: readonly (readonly OperationTimes[])[],
): Timeline {
  const stages = times_SC.length;
  const runs = stages * chunks;
  const programs = times_SC.map((_, stage) => program({ kind, stages, stage, microbatches, chunks }));
  // When the forward, or the backward, pass of a run of blocks has ended, by run and microbatch; NaN: not yet.
  const forward = new Float64Array(runs * microbatches).fill(Number.NaN);
  const backward = new Float64Array(runs * microbatches).fill(Number.NaN);
  const readyAt = ({ direction, microbatch }: Operation, run: number): number => {
    if (direction === 'weights') return backward[run * microbatches + microbatch] ?? Number.NaN;
    if (direction === 'forward')
      return run === 0 ? 0 : (forward[(run - 1) * microbatches + microbatch] ?? Number.NaN);
    const from = run === runs - 1 ? forward : backward;
    return from[(run === runs - 1 ? run : run + 1) * microbatches + microbatch] ?? Number.NaN;
  };
  const [cursors, clocks, busy] = [times_SC.map(() => 0), times_SC.map(() => 0), times_SC.map(() => 0)];
  const advance = (stage: number): boolean => {
    const operations = programs[stage] ?? [];
    let cursor = cursors[stage] ?? 0;
    const first = cursor;
    for (; cursor < operations.length; cursor++) {
      const operation = operations[cursor];
      assert(operation, 'a program has no gaps');
      const run = operation.chunk * stages + stage;
      const ready = readyAt(operation, run);
      if (Number.isNaN(ready)) break;
      const took = times_SC[stage]?.[operation.chunk]?.[operation.direction] ?? 0;
      const end = Math.max(clocks[stage] ?? 0, ready) + took;
      clocks[stage] = end;
      busy[stage] = (busy[stage] ?? 0) + took;
      if (operation.direction !== 'weights')
        (operation.direction === 'forward' ? forward : backward)[run * microbatches + operation.microbatch] =
          end;
    }
    cursors[stage] = cursor;
    return cursor > first;
  };
  for (let moved = true; moved;) {
    moved = false;
    for (let stage = 0; stage < stages; stage++) moved = advance(stage) || moved;
  }
  assert(
    programs.every(({ length }, stage) => cursors[stage] === length),
    'stages do not wait in a circle',
    { kind, microbatches, chunks, stages },
  );
  const end = Math.max(...clocks);
  const sum = busy.reduce((total, each) => total + each, 0);
  return { end, busy, bubble: end === 0 ? 0 : 1 - sum / (stages * end) };
}
