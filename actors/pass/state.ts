import type { Address } from '@troupe/core';
import type { Floats } from '@troupe/kernel-set';
import type { HiddenNeighbour, Slot } from '@troupe/topology/layout';
import { isEmbedding } from '@troupe/spec';
import type { Step } from '@troupe/model';
import { sendGradients } from '../gradients.ts';
import type { Pass, Passes } from '../passes.ts';
import type { GroupRange, StageParameters } from '../stage-parameters.ts';
import type { Worker } from '../worker.ts';
import type { PassSelf } from './events.ts';
import type { PassContext } from './machine.ts';
import type { PassParts } from './pass-parts.ts';
import { PeerSteps } from './peer-steps.ts';
import { WantedSegments } from './wanted-segments.ts';

/** Parts of the gradients that are finished together. */
interface FinishedTogether {
  readonly layer: (layer: number) => readonly GroupRange[];
  readonly embedding: readonly GroupRange[];
  /** Behind all layers: the last norm, the head, and on the last stage a tied table. */
  readonly tail: readonly GroupRange[];
}

function finishedTogether({ worker, parameters, slot }: PassParts): FinishedTogether {
  const { hasEmbedding } = worker.job.layout.stagePlan(worker.at.pp);
  const { plan } = slot;
  const layers = new Map(
    plan.blocks.map((layer) => [layer, parameters.ranges((unit) => unit.layer === layer)] as const),
  );
  return {
    layer: (layer) => layers.get(layer) ?? [],
    embedding: plan.hasEmbedding ? parameters.ranges(isEmbedding) : [],
    tail: plan.hasHead
      ? parameters.ranges(({ id, layer }) => layer === null && !(isEmbedding({ id }) && hasEmbedding))
      : [],
  };
}

/** What the effects of a pass keep from turn to turn: nobody else sees it. */
export class PassState {
  readonly worker: Worker;
  readonly slot: Slot;
  readonly stage: Address;
  /** Where the residual stream of the chunk goes, and where the gradient of its input goes; null at the ends of the model. */
  readonly next: HiddenNeighbour | null;
  readonly previous: HiddenNeighbour | null;
  readonly finished: FinishedTogether;
  readonly segments: WantedSegments;
  /** Finished sums that wait until the rows of the next layer have left. */
  readonly held: GroupRange[] = [];
  /** What it runs on its device and with its tensor peers. */
  readonly steps: PeerSteps;
  readonly #self: PassSelf;
  readonly parameters: StageParameters;
  readonly #passes: Passes;

  constructor(self: PassSelf, parts: PassParts) {
    const { worker, slot, passes } = parts;
    const { layout } = worker.job;
    this.worker = worker;
    this.slot = slot;
    this.stage = layout.stageOf(worker.rank);
    this.next = layout.nextOf(worker.rank, slot.chunk);
    this.previous = layout.previousOf(worker.rank, slot.chunk);
    this.finished = finishedTogether(parts);
    this.segments = new WantedSegments(self, parts);
    this.steps = new PeerSteps(self, worker, slot.index);
    this.#self = self;
    this.parameters = parts.parameters;
    this.#passes = passes;
  }

  gateOf(layer: number, direction: 'forward' | 'backward'): Address {
    const { job, rank } = this.worker;
    return job.layout.gateOf(layer, rank, direction);
  }

  passOf(context: PassContext): Pass {
    return this.#passes.at(context, this.slot.index);
  }

  /** Where logits that are asked for go. */
  logitsRoom(count: number): Floats {
    return this.#passes.logitsRoom(count);
  }

  /** The gradients of a microbatch that are finished once a layer's backward pass ran. */
  completedAt({ defersMatrices, layer, lastLayer }: PassContext): readonly GroupRange[] {
    if (defersMatrices) return [];
    return [...(layer === lastLayer ? this.finished.tail : []), ...this.finished.layer(layer)];
  }

  /** All that the gradients of matrices finish, where they wait. */
  get finishedByMatrices(): readonly GroupRange[] {
    const { tail, layer, embedding } = this.finished;
    return [...tail, ...this.slot.plan.blocks.toReversed().flatMap(layer), ...embedding];
  }

  /** The steps of a backward half, without the gradients of matrices where these wait. */
  backwardSteps(context: PassContext, steps: readonly Step[]): readonly Step[] {
    return this.passOf(context).deferred?.defer(steps) ?? steps;
  }

  /** Sends what is held to those that add it up. */
  release({ step, attempt, microbatch, last: isLast }: PassContext): void {
    for (const { buffers, range } of this.held.splice(0)) {
      const sent = { ...range, step, attempt, microbatch, isLast };
      sendGradients(this.#self, { worker: this.worker, buffers }, sent);
    }
  }
}
