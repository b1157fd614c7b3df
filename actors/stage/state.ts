import { assert, type Address } from '@troupe/core';
import type { BalanceCoefficients, Batch } from '@troupe/model';
import type { Unit } from '@troupe/spec';
import type { ParameterGroup } from '@troupe/topology/layout';
import { sendGradients, type Range } from '../gradients.ts';
import type { GroupBuffers } from '../group-buffers.ts';
import { slotOf, type Pass, type Passes, type PassPlace } from '../pass.ts';
import type { Worker } from '../worker.ts';
import type { StageSelf } from './events.ts';
import type { StageContextData } from './machine.ts';

/** What a stage knows of the step that is open. */
export interface OpenStep {
  /** Of the whole batch: what the loss is divided by, and tokens that are not padding. */
  readonly targets: number;
  readonly tokens: number;
  /** Null while they wait for the counts of the whole batch. */
  readonly balance: BalanceCoefficients | null;
}

/** Where the units of a layer, and those before and behind all layers, lie in the dense group. */
interface DenseRanges {
  readonly layer: (layer: number) => Range;
  readonly embed: Range;
  readonly tail: Range;
}

function denseRanges(group: ParameterGroup): DenseRanges {
  const rangeOf = (belongs: (unit: Unit) => boolean): Range => group.rangeOf(belongs) ?? { from: 0, to: 0 };
  return {
    embed: rangeOf(({ id }) => id === 'embed'),
    layer: (index) => rangeOf(({ layer }) => layer === index),
    tail: rangeOf(({ layer, id }) => layer === null && id !== 'embed'),
  };
}

/** What a stage stands on. */
export interface StageParts {
  readonly worker: Worker;
  readonly dense: GroupBuffers;
  readonly passes: Passes;
}

/** What the effects of a stage keep from turn to turn: nobody else sees it. */
export class StageState {
  readonly worker: Worker;
  readonly passes: Passes;
  readonly ranges: DenseRanges;
  /** Tokens that are here, by step and microbatch; the same in every attempt. */
  readonly batches = new Map<string, Batch>();
  /** Finished sums that wait until the rows of the next layer have left. */
  readonly held: Range[] = [];
  step: OpenStep | null = null;
  /** Targets of the evaluation so far. */
  evaluated = 0;
  readonly #self: StageSelf;
  readonly #dense: GroupBuffers;
  readonly #gates: ReadonlyMap<number, Address>;

  constructor(self: StageSelf, { worker, dense, passes }: StageParts) {
    const { layout } = worker.job;
    this.worker = worker;
    this.passes = passes;
    this.ranges = denseRanges(dense.group);
    this.#self = self;
    this.#dense = dense;
    this.#gates = new Map(worker.layers.map((layer) => [layer, layout.gateOf(layer, worker.rank)]));
  }

  gateOf(layer: number): Address {
    const gate = this.#gates.get(layer);
    assert(gate, 'only layers with experts have a gate', { layer });
    return gate;
  }

  get openStep(): OpenStep {
    assert(this.step, 'a pass of training belongs to an open step');
    return this.step;
  }

  passOf(context: StageContextData): Pass {
    return this.passes.at(placeOf(context), slotOf(context));
  }

  isLastMicrobatch({ microbatch }: StageContextData): boolean {
    return microbatch === this.worker.job.layout.dealing.microbatches - 1;
  }

  /** Sends finished gradients of a part of the dense group to those that add them up. */
  sendGradients({ step, attempt }: StageContextData, range: Range): void {
    sendGradients(this.#self, { worker: this.worker, buffers: this.#dense }, { ...range, step, attempt });
  }
}

/** Which pass a stage is in. */
export const placeOf = ({ step, attempt, wanted, microbatch, mode }: StageContextData): PassPlace => ({
  step,
  attempt,
  version: wanted,
  microbatch,
  mode,
});

/** The same in a message, with the layer. */
export const messagePlace = ({ step, attempt, wanted, layer, microbatch }: StageContextData) => ({
  step,
  attempt,
  version: wanted,
  layer,
  microbatch,
});
