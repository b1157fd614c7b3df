import { assert, type Address, type HostFloats } from '@troupe/core';
import type { BalanceCoefficients, Batch, Streams } from '@troupe/model';
import type { Operation, Slot } from '@troupe/topology/layout';
import { agentFor } from '../crew.ts';
import type { BatchSizes, PassPlace, Passes } from '../passes.ts';
import type { StageParameters } from '../stage-parameters.ts';
import type { Counted } from '../token-tensors.ts';
import type { Worker } from '../worker.ts';
import type { StageContextData } from './machine.ts';

/** What a stage knows of the step that is open. */
interface OpenStep {
  /** Of the whole batch. */
  readonly counted: Counted;
  /** Null while they wait for the counts of the whole batch. */
  readonly balance: Streams<BalanceCoefficients> | null;
}

/** What a stage stands on. */
export interface StageParts {
  readonly worker: Worker;
  readonly parameters: StageParameters;
  readonly passes: Passes;
}

/** What the effects of a stage keep from turn to turn: nobody else sees it. */
export class StageState {
  readonly worker: Worker;
  readonly parameters: StageParameters;
  readonly passes: Passes;
  /** Who hears what it has measured. */
  readonly agent: Address;
  /** Tokens that are here, by step and microbatch; the same in every attempt. */
  readonly batches = new Map<string, Batch>();
  /** What has come from other stages and was not taken up yet, by `inputKey`. */
  readonly inputs = new Map<string, Streams<HostFloats>>();
  step: OpenStep | null = null;
  /** Held-out sequences of the evaluation pass that is open. */
  sequences: Batch | null = null;
  /** Tokens whose logits are asked for; null: none are. */
  rows: readonly number[] | null = null;
  /** Targets of the evaluation so far. */
  evaluated = 0;

  constructor({ worker, parameters, passes }: StageParts) {
    this.worker = worker;
    this.parameters = parameters;
    this.passes = passes;
    this.agent = agentFor(worker.job.layout, worker.rank);
  }

  /** The slot of the pass that an operation is of. */
  slotOf(
    { mode }: Pick<StageContextData, 'mode'>,
    { chunk, microbatch }: Pick<Operation, 'chunk' | 'microbatch'>,
  ): Slot {
    const { slots } = this.passes;
    const slot = slots.all[slots.indexOf(mode, chunk, microbatch)];
    assert(slot, 'a pass has a slot', { mode, chunk, microbatch });
    return slot;
  }

  passAddress({ index }: Slot): Address {
    const { layout } = this.worker.job;
    return layout.passOf(this.worker.rank, index);
  }

  get openStep(): OpenStep {
    assert(this.step, 'a pass of training belongs to an open step');
    return this.step;
  }

  /** The tokens of a pass, and what it has to know of the whole batch. */
  dealt({ mode, step }: StageContextData, { microbatch }: Operation): { batch: Batch; sizes: BatchSizes } {
    if (mode === 'evaluate') {
      assert(this.sequences, 'the sequences of an evaluation pass are here before it begins');
      return { batch: this.sequences, sizes: { balance: null, targets: 0, rows: this.rows } };
    }
    const batch = this.batches.get(`${step}/${microbatch}`);
    assert(batch, 'the tokens of a pass are here before it begins', { step, microbatch });
    const { balance, counted } = this.openStep;
    return { batch, sizes: { balance, targets: counted.targets, rows: null } };
  }
}

/** Which pass an operation is of. */
export const placeOf = (
  { step, attempt, wanted }: StageContextData,
  { microbatch }: Pick<Operation, 'microbatch'>,
): PassPlace => ({ step, attempt, version: wanted, microbatch });
