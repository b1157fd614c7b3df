import { assert } from '@troupe/core';
import { forwardProgram, slotsOf, type Operation } from '../pipeline.ts';
import type { StagePlan } from './stage-plan.ts';

/** What a slot is for: steps, or evaluations. */
export type SlotMode = 'train' | 'evaluate';

/** What the slots of a stage follow from. */
export interface SlottedStage {
  readonly chunks: readonly StagePlan[];
  /** In the order of a step. */
  readonly program: readonly Operation[];
  /** Operations that may run at a time. */
  readonly width: number;
}

/** A slot of a stage: room for one pass through one of its chunks. */
export interface Slot {
  readonly index: number;
  readonly mode: SlotMode;
  readonly chunk: number;
  readonly plan: StagePlan;
}

/**
 * What a stage does in a step, and where its passes lie meanwhile.
 *
 * SLO-1: a pass of training has the slot that the program gives it; an evaluation has one a chunk, since its passes leave nothing behind.
 */
export class StageSlots {
  readonly chunks: readonly StagePlan[];
  /** In order. */
  readonly program: readonly Operation[];
  readonly all: readonly Slot[];
  readonly #of: Readonly<Record<SlotMode, (chunk: number, microbatch: number) => number>>;

  constructor({ chunks, program: operations, width }: SlottedStage) {
    this.chunks = chunks;
    this.program = operations;
    const { counts, of } = slotsOf(operations, chunks.length, width);
    const places = [
      ...this.chunks.flatMap((_, chunk) =>
        Array.from({ length: counts[chunk] ?? 0 }, () => ({ mode: 'train' as const, chunk })),
      ),
      ...this.chunks.map((_, chunk) => ({ mode: 'evaluate' as const, chunk })),
    ];
    this.all = places.map((place, index) => ({ ...place, index, plan: this.#plan(place.chunk) }));
    const starts = this.chunks.map((_, chunk) => counts.slice(0, chunk).reduce((sum, each) => sum + each, 0));
    const numTraining = this.all.length - chunks.length;
    this.#of = {
      train: (chunk, microbatch) => (starts[chunk] ?? 0) + of(chunk, microbatch),
      evaluate: (chunk) => numTraining + chunk,
    };
  }

  /** What an evaluation of so many passes does. */
  evaluation(passes: number): readonly Operation[] {
    return forwardProgram(passes, this.chunks.length);
  }

  indexOf(mode: SlotMode, chunk: number, microbatch: number): number {
    return this.#of[mode](chunk, microbatch);
  }

  #plan(chunk: number): StagePlan {
    const plan = this.chunks[chunk];
    assert(plan, 'a slot is of a chunk of its stage', { chunk });
    return plan;
  }
}
