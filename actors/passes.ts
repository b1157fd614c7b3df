import { assert, InvariantError } from '@troupe/core';
import type { Device, Floats } from '@troupe/kernel-set';
import {
  DeferredWeights,
  ownRuns,
  StageStatistics,
  StreamActivations,
  streamAt,
  streamContexts,
  streamPasses,
  streamPositions,
  tensorShare,
  uploadStreams,
  type BalanceCoefficients,
  type Batch,
  type CommonContext,
  type GateBackwardOptions,
  type PositionTables,
  type RoutingPlace,
  type StageShape,
  type StreamGradients,
  type StreamPass,
  type Streams,
} from '@troupe/model';
import type { Slot, StageSlots } from '@troupe/topology/layout';
import type { PassMode } from './messages.ts';
import type { StageParameters } from './stage-parameters.ts';
import type { Worker } from './worker.ts';

/** Which pass: one microbatch through one chunk of a stage, forward and (in training) backward, in one attempt at a step. */
export interface PassPlace {
  readonly step: number;
  readonly attempt: number;
  /** Weights that it computes with. */
  readonly version: number;
  readonly microbatch: number;
}

/** What a pass has to know of the whole batch. */
export interface BatchSizes {
  /** Gradient coefficients of the balance losses; null where they are not known yet, or not needed. */
  readonly balance: Streams<BalanceCoefficients> | null;
  /** What the loss is divided by; of no interest to an evaluation. */
  readonly targets: number;
  /** Tokens whose logits are wanted instead of the loss, one of a sequence at most; null: none. */
  readonly rows: readonly number[] | null;
}

/** One microbatch on its way through a chunk of a stage. It never changes, but for what kernels write into its buffers. */
export interface Pass extends PassPlace, BatchSizes {
  readonly slot: number;
  /** Of each stream its weights, activations and tokens, and where its gradients and statistics go. */
  readonly streams: Streams<StreamPass>;
  /** Buffers of all of them. */
  readonly act: StreamActivations;
  /** Gradients of matrices that wait for an operation of their own; null: they are part of the backward half. */
  readonly deferred: DeferredWeights | null;
}

/**
 * The passes that a stage has in flight, by slot. The stage opens and closes them; passes and gates look them up by the slot that they are
 * of, or that a message names.
 *
 * PAS-1: a slot is free when a pass is opened in it. PAS-2: whoever names a slot names the pass that is in it. PAS-3: gradients of activations
 * lie in one set of buffers for all slots, since one backward pass of a worker runs at a time.
 */
export class Passes {
  readonly slots: StageSlots;
  readonly #device: Device;
  readonly #worker: Worker;
  readonly #parameters: StageParameters;
  readonly #activations: readonly (StreamActivations | null)[];
  readonly #deferred: readonly (DeferredWeights | null)[];
  readonly #statistics: Readonly<Record<PassMode, StageStatistics>>;
  readonly shape: StageShape;
  readonly #positions: Streams<PositionTables>;
  readonly #open = new Map<number, Pass>();
  #logits: Floats | null = null;

  constructor(worker: Worker, parameters: StageParameters) {
    const { job, device } = worker;
    const { layout } = job;
    const { dealing } = layout;
    this.slots = layout.slotsOf(worker.at.pp);
    this.#device = device;
    this.#worker = worker;
    this.#parameters = parameters;
    this.shape = {
      config: job.model,
      sequences: dealing.microbatchSequences,
      grains: dealing.microbatchGrains,
      precision: job.precision ?? 'f32',
      rowFormat: job.rowFormat ?? 'f32',
      smoothing: job.labelSmoothing ?? 0,
      tensor: tensorShare(layout.tensorAxis, worker.at.tp),
    };
    this.#positions = streamPositions(device, this.shape);
    this.#activations = this.#allocate(worker);
    const { defersMatrices } = layout;
    this.#deferred = this.slots.all.map(({ mode }, index) => {
      const act = this.#activations[index] ?? null;
      return defersMatrices && mode === 'train' && act !== null ? new DeferredWeights(act.decoder) : null;
    });
    const statistics = (): StageStatistics => new StageStatistics(device, job.model, worker.layers);
    this.#statistics = { train: statistics(), evaluate: statistics() };
  }

  #allocate(worker: Worker): readonly (StreamActivations | null)[] {
    const { job, device } = worker;
    const { layout, model } = job;
    let gradients: StreamGradients | undefined;
    return this.slots.all.map(({ mode, plan }) => {
      if (mode === 'evaluate' && job.evaluationSequences === 0) return null;
      const [first = 0] = plan.blocks;
      const made = new StreamActivations(device, this.shape, {
        training: mode === 'train',
        recompute: job.recompute === 'layer',
        keepsRows: true,
        ranks: layout.experts.numGroups,
        runs: ownRuns(this.shape, layout.rowChunks),
        layers: { first, count: plan.blocks.length },
        head: plan.hasHead,
        ...(model.moe === null ? {} : { rankOf_E: (layer) => worker.seats.rankOf_E(layer) }),
        ...(gradients === undefined ? {} : { gradients }),
      });
      if (mode === 'train') gradients = made.gradients;
      return made;
    });
  }

  open(place: PassPlace, slot: Slot, batch: Batch, sizes: BatchSizes): Pass {
    const { step, attempt, version, microbatch } = place;
    const taken = this.#open.get(slot.index);
    assert(taken === undefined, 'the slot of a pass is free when it begins', {
      slot: slot.index,
      ...placeOf(place),
    });
    const act = this.#activations[slot.index];
    assert(act !== null && act !== undefined, 'a slot has its buffers', { slot: slot.index });
    const contexts = streamContexts(act, this.#positions, this.#common(place, slot));
    const streams = streamPasses(contexts, uploadStreams(this.#device, batch));
    const deferred = this.#deferred[slot.index] ?? null;
    const pass = {
      step,
      attempt,
      version,
      microbatch,
      slot: slot.index,
      streams,
      act,
      ...sizes,
      deferred,
    };
    this.#open.set(slot.index, pass);
    return pass;
  }

  /** The pass that is in a slot, which must be the one that is meant. */
  at(place: PassPlace, slot: number): Pass {
    const pass = this.#open.get(slot);
    const isMeant =
      pass !== undefined &&
      pass.attempt === place.attempt &&
      pass.step === place.step &&
      pass.microbatch === place.microbatch;
    if (isMeant) return pass;
    // Details are made for the failure alone: every effect of passes and their gates asks.
    const found = pass === undefined ? 'nothing' : JSON.stringify(placeOf(pass));
    throw new InvariantError('the pass that is asked for is in its slot', { slot, ...placeOf(place), found });
  }

  /** All open passes from now on with the coefficients of their backward passes. */
  balance(balance: Streams<BalanceCoefficients>): void {
    for (const [slot, pass] of this.#open) this.#open.set(slot, { ...pass, balance });
  }

  /** Room for the logits of `count` tokens, [count, V]; made when it is first asked for. */
  logitsRoom(count: number): Floats {
    const length = count * this.shape.config.vocab;
    if (this.#logits === null || this.#logits.length < length) this.#logits = this.#device.floats(length);
    return this.#logits.subarray(0, length);
  }

  /** A copy of the logits. */
  logits(count: number): Float32Array {
    return Float32Array.from(this.#device.read(this.logitsRoom(count)));
  }

  close(place: PassPlace, slot: number): void {
    this.#open.delete(this.at(place, slot).slot);
  }

  /** Forgets all passes: their attempt is over. */
  clear(): void {
    this.#open.clear();
    for (const each of this.#deferred) each?.take();
  }

  statistics(mode: PassMode): StageStatistics {
    return this.#statistics[mode];
  }

  /** Whose draws a pass takes; generation takes none. */
  #routing({ step, microbatch }: PassPlace, mode: PassMode): { readonly routing?: RoutingPlace } {
    const { job, at } = this.#worker;
    if (job.purpose === 'generate') return {};
    const { first } = job.layout.dealing.sequencesOf(at.dp, microbatch);
    return { routing: { mode, seed: job.seed, step, firstSequence: first } };
  }

  #common(place: PassPlace, { mode }: Slot): CommonContext {
    return {
      statistics: this.#statistics[mode],
      weights: this.#parameters.weights(place.version),
      gradients: mode === 'train' ? this.#parameters.gradients(place.microbatch) : null,
      ...this.#routing(place, mode),
    };
  }
}

/** The stream of a pass that a layer is of. */
export const streamOfPass = ({ streams }: Pass, layer: number): StreamPass =>
  streamAt(streams, streams.decoder.context.shape.config, layer);

/** What of a step's balance the backward pass of a layer's gate needs. */
export function gateOptions({ balance, streams }: Pass, layer: number): GateBackwardOptions {
  assert(balance, 'the coefficients of the balance losses are known before a backward pass');
  const { auxScale, zScale, fractions } = streamAt(balance, streams.decoder.context.shape.config, layer);
  const own = fractions(layer);
  return { auxScale, zScale, ...(own === null ? {} : { fractions: own }) };
}

const placeOf = ({ step, attempt, microbatch }: PassPlace) => ({ step, attempt, microbatch });
