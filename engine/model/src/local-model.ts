import { assert, wideNumber, type HostFloats } from '@troupe/core';
import {
  NORM_QUANTUM_LOG2,
  type Device,
  type Floats,
  type Int64s,
  type KernelCall,
  type Precision,
} from '@troupe/kernel-set';
import {
  bufferRuns,
  denseUnits,
  expertUnits,
  flatLayout,
  moeLayers,
  trainedRanges,
  type FlatLayout,
  type ModelConfig,
} from '@troupe/spec';
import type { Activations, ActivationOptions } from './activations.ts';
import { streamCoefficients, streamLosses, type BalanceLosses, type GlobalStreams } from './balance.ts';
import { numUsedRuns, numValidTargets, numValidTokens, type Batch } from './batch.ts';
import { runCalls } from './device-run.ts';
import { FlatGradients, leavesOf } from './flat-gradients.ts';
import { FlatWeights } from './flat-weights.ts';
import { ownRuns } from './dealt-grains.ts';
import { finalNormForward, headForward, headLogits } from './head.ts';
import { initialise } from './initialise.ts';
import { LocalExperts } from './local-experts.ts';
import { backwardLayers, forwardLayers } from './local-pass.ts';
import { updateCalls } from './optimizer-update.ts';
import type { PositionTables } from './position-tables.ts';
import type { RoutingPlace } from './routing-place.ts';
import type { Step } from './step.ts';
import { StreamActivations } from './stream-activations.ts';
import {
  streamContexts,
  streamPasses,
  streamPositions,
  uploadStreams,
  type StreamPass,
} from './stream-pass.ts';
import type { Streams } from './streams.ts';
import { balanceGroups, type StageShape } from './stage-shape.ts';
import { wholeShare, type TensorShare } from './tensor-share.ts';
import { lossValue, StageStatistics } from './statistics.ts';

export interface LocalModelOptions {
  readonly config: ModelConfig;
  /** Sequences of every batch. */
  readonly sequences: number;
  /** Default 1; must divide `sequences`. */
  readonly grains?: number;
  /** Computes as if the experts lived on so many ranks; default 1. The numbers do not change. */
  readonly ranks?: number;
  /** Computes as if rows went to experts in so many chunks of grains; default 1. The numbers do not change. */
  readonly chunks?: number;
  /** Default f32. */
  readonly precision?: Precision;
  /** Default f32. */
  readonly rowFormat?: Precision;
  /** Label smoothing of the loss that gradients are of; default 0. */
  readonly smoothing?: number;
  /** Default: matrices are whole. */
  readonly tensor?: TensorShare;
  /** Gives every tensor peer the shares of all, by rank; needed where there are several. */
  readonly exchange?: ExchangeShares;
}

/** Whose draws a batch takes; numbers default to 0. */
export type DrawPlace = Partial<Pick<RoutingPlace, 'seed' | 'step' | 'firstSequence'>>;

const placeOf = (mode: RoutingPlace['mode'], place: DrawPlace): RoutingPlace => ({
  mode,
  seed: 0,
  step: 0,
  firstSequence: 0,
  ...place,
});

/** Gives this peer's shares to all, and it the shares of all, by rank. */
export type ExchangeShares = (shares: readonly Floats[]) => Promise<readonly (readonly Floats[])[]>;

export interface LocalLoss extends BalanceLosses {
  /** Cross entropy, nats a target; 0 without valid targets. */
  readonly loss: number;
  /** loss (in training smoothed, if it is) + auxLoss + zLoss: what the gradients are of. */
  readonly total: number;
}

export interface LocalGradients extends LocalLoss {
  /** By parameter name; views that the next call overwrites. */
  readonly gradients: FlatWeights;
  /** Norm of all gradients together, before clipping. */
  readonly norm: number;
}

/** Ranges and meanings as in {@link AdamWCall}. */
export interface AdamWOptions {
  readonly learningRate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly eps: number;
  readonly weightDecay: number;
  /** Largest norm of the gradients; Infinity: no clipping. */
  readonly clip: number;
}

/** What training adds to a model that only computes. */
interface Trainer {
  readonly act: StreamActivations;
  /** Exact sums: what the actors store where they can is read from these here. */
  readonly sums: FlatGradients;
  readonly gradients: FlatWeights;
  readonly m: Floats;
  readonly v: Floats;
  readonly experts: LocalExperts;
  readonly norm128: Int64s;
  /** Of the gradients; NaN when they are not finite. */
  norm: number;
  clock: number;
}

/** Dense units, then the experts of each MoE layer; of a tensor peer its segments. */
export function modelLayout(config: ModelConfig, tensor: TensorShare = wholeShare): FlatLayout {
  return flatLayout([
    ...denseUnits(config, tensor.segments),
    ...moeLayers(config).flatMap((layer) => expertUnits(config, layer, tensor.expertSegments)),
  ]);
}

/**
 * The whole model on one device, without actors: evaluation, generation, and the oracle that actors are compared with.
 *
 * It submits the same lists as the actors do. One call at a time: buffers are reused.
 */
export class LocalModel {
  readonly device: Device;
  readonly config: ModelConfig;
  readonly shape: StageShape;
  readonly weights: FlatWeights;
  readonly statistics: StageStatistics;
  readonly #rows: Pick<ActivationOptions, 'ranks' | 'runs'>;
  readonly #exchange: ExchangeShares | null;
  readonly #positions: Streams<PositionTables>;
  readonly #experts: LocalExperts;
  #inference: StreamActivations | null = null;
  #trainer: Trainer | null = null;

  /** @param weights - existing storage in {@link modelLayout}; default: new, zeroed */
  constructor(device: Device, options: LocalModelOptions, weights?: FlatWeights) {
    const { config, sequences, grains = 1, ranks = 1, chunks = 1 } = options;
    const { precision = 'f32', rowFormat = 'f32', tensor = wholeShare, smoothing = 0 } = options;
    this.device = device;
    this.config = config;
    this.shape = { config, sequences, grains, precision, rowFormat, tensor, smoothing };
    this.weights = weights ?? newWeights(device, modelLayout(config, tensor));
    this.#exchange = options.exchange ?? null;
    this.statistics = new StageStatistics(device, config);
    this.#rows = { ranks, runs: ownRuns(this.shape, chunks) };
    this.#positions = streamPositions(device, this.shape);
    this.#experts = new LocalExperts(device);
  }

  /** Draws every parameter. */
  async initialise(seed: number): Promise<void> {
    const { layout } = this.weights;
    await this.#run(layout.units.flatMap((unit) => initialise(unit, seed, this.weights.view(unit.id))));
  }

  /**
   * Loss of a batch of held-out sequences.
   *
   * @param place - which of them; of interest where experts drop tokens
   * @throws {BatchLengthError} TROUPE_MODEL_BATCH
   */
  async forward(host: Batch, place: DrawPlace = {}): Promise<LocalLoss> {
    const streams = this.#streams(this.#inferenceActivations(), null, host, placeOf('evaluate', place));
    const { context: ctx, batch } = streams.decoder;
    this.statistics.reset();
    await forwardLayers(streams, this.#experts, (steps) => this.#runSteps(steps));
    await this.#runSteps(headForward(ctx, batch, { evaluate: true }));
    return this.#losses(host);
  }

  /**
   * Logits of `rows` tokens from `firstRow`, [rows, V]; default all, [T, V].
   *
   * @throws {BatchLengthError} TROUPE_MODEL_BATCH
   */
  async logits(
    host: Batch,
    slice?: { readonly firstRow: number; readonly rows: number },
  ): Promise<HostFloats> {
    const streams = this.#streams(this.#inferenceActivations(), null, host);
    const { context: ctx } = streams.decoder;
    const { firstRow, rows } = slice ?? { firstRow: 0, rows: ctx.act.tokens };
    const out = this.device.floats(rows * this.config.vocab);
    this.statistics.reset();
    await forwardLayers(streams, this.#experts, (steps) => this.#runSteps(steps));
    await this.#runSteps([{ calls: finalNormForward(ctx) }, ...headLogits(ctx, { firstRow, rows, out })]);
    return this.device.read(out);
  }

  /**
   * Loss and the gradient of `total` by every parameter.
   *
   * @param place - step and first sequence; of interest where routing draws
   * @throws {BatchLengthError} TROUPE_MODEL_BATCH
   */
  async lossAndGradients(host: Batch, place: DrawPlace = {}): Promise<LocalGradients> {
    const trainer = this.#training();
    const { act, sums, gradients, experts, norm128 } = trainer;
    const streams = this.#streams(act, sums, host, placeOf('train', place));
    const { context: ctx, batch } = streams.decoder;
    const targets = numValidTargets(host.targets_T);
    const { smoothedSum } = act.decoder;
    this.statistics.reset();
    this.device.zero(norm128);
    this.device.zero(smoothedSum);
    await this.#run(sums.reset());
    await forwardLayers(streams, experts, (steps) => this.#runSteps(steps));
    await this.#runSteps(headForward(ctx, batch, { gradScale: targets === 0 ? 0 : 1 / targets }));
    const balance =
      this.config.moe === null
        ? null
        : streamCoefficients(this.config, this.#global(host), this.statistics.byLayer());
    await backwardLayers(streams, { experts, balance }, (steps) => this.#runSteps(steps));
    // What buffers add up is no gradient: theirs is zero.
    const trained = trainedRanges(gradients.layout, { from: 0, to: gradients.layout.length });
    await this.#run(
      trained.flatMap(({ from, to }): readonly KernelCall[] => {
        const gradient = gradients.data.subarray(from, to);
        return [
          { op: 'sum.read', sum: sums.sum(from, to).values, out: gradient },
          { op: 'sum.squares', gradient, norm128 },
        ];
      }),
    );
    const isFinite = this.device.read(sums.overflow)[0] === 0;
    trainer.norm = isFinite ? normValue(this.device.read(norm128)) : Number.NaN;
    const losses = this.#losses(host);
    const smoothed =
      (this.shape.smoothing ?? 0) > 0 && targets > 0
        ? lossValue(this.device.read(smoothedSum)) / targets
        : losses.loss;
    return { ...losses, total: losses.total - losses.loss + smoothed, gradients, norm: trainer.norm };
  }

  /** What {@link lossAndGradients} left is applied with one clip scale; gradients that are not finite change nothing, as in a run. */
  async adamwStep(options: AdamWOptions): Promise<void> {
    const trainer = this.#trainer;
    assert(trainer !== null, 'a step applies the gradients of a batch');
    const { gradients, m, v, norm, sums } = trainer;
    if (Number.isNaN(norm)) return;
    const { learningRate, ...settings } = options;
    const { clip } = settings;
    trainer.clock += 1;
    const rates = { gradScale: norm > clip ? clip / norm : 1, learningRate, clock: trainer.clock };
    const { data: weights, layout } = this.weights;
    await this.#run(
      bufferRuns(layout, { from: 0, to: layout.length }).flatMap(({ from, to, buffer }) => {
        const part = (array: Floats): Floats => array.subarray(from, to);
        const own = part(weights);
        const gradient = buffer === null ? part(gradients.data) : sums.sum(from, to).values;
        // No tensor is updated as a whole, which would need room to work in.
        const state = { first: part(m), second: part(v), work: m.subarray(0, 0) };
        const update = buffer?.kind ?? 'adamw';
        const arrays = { weights: own, out: own, gradient, ...state };
        return updateCalls({ update, buffer, whole: null }, arrays, { kind: 'adamw', ...settings }, rates);
      }),
    );
  }

  /** Cross entropy at each position of the last {@link forward}, nats, [T]; 0 where there is no target. */
  get tokenLosses(): HostFloats {
    return this.device.read(this.#inferenceActivations().decoder.loss_T);
  }

  /** What the last call of {@link lossAndGradients} computed on its way. */
  get trainingActivations(): Activations {
    return this.trainingStreams.decoder;
  }

  /** The same, stream by stream. */
  get trainingStreams(): Streams<Activations> {
    return this.#training().act;
  }

  #run(calls: readonly KernelCall[]): Promise<unknown> {
    return runCalls(this.device, calls);
  }

  async #runSteps(steps: readonly Step[]): Promise<void> {
    for (const step of steps) {
      if ('calls' in step) {
        await this.#run(step.calls);
        continue;
      }
      assert(this.#exchange !== null, 'tensor peers exchange what they share');
      await this.#run(step.exchange.next(await this.#exchange(step.exchange.shares)));
    }
  }

  #global(batch: Batch): GlobalStreams {
    const { sequences } = this.shape;
    const groups = balanceGroups(this.shape);
    const of = ({ valid_T }: Pick<Batch, 'valid_T'>) => ({
      sequences,
      tokens: numValidTokens(valid_T),
      domains: numUsedRuns(valid_T, valid_T.length / groups),
    });
    return { decoder: of(batch), encoder: batch.source === undefined ? null : of(batch.source) };
  }

  #losses(batch: Batch): LocalLoss {
    const targets = numValidTargets(batch.targets_T);
    const totals = this.statistics.totals();
    const loss = targets === 0 ? 0 : lossValue(totals.lossSum) / targets;
    const balance = streamLosses(this.config, this.statistics.byLayer(totals), this.#global(batch));
    return { loss, ...balance, total: loss + balance.auxLoss + balance.zLoss };
  }

  /** @throws {InvariantError} where the model has an encoder and the batch no source */
  #streams(
    act: StreamActivations,
    sums: FlatGradients | null,
    host: Batch,
    routing?: RoutingPlace,
  ): Streams<StreamPass> {
    const { weights, statistics } = this;
    const gradients = sums === null ? null : sums.of(0);
    const common = { weights, gradients, statistics, ...(routing === undefined ? {} : { routing }) };
    return streamPasses(streamContexts(act, this.#positions, common), uploadStreams(this.device, host));
  }

  #inferenceActivations(): StreamActivations {
    this.#inference ??= new StreamActivations(this.device, this.shape, { training: false, ...this.#rows });
    return this.#inference;
  }

  #training(): Trainer {
    const { device } = this;
    const { layout } = this.weights;
    this.#trainer ??= {
      act: new StreamActivations(device, this.shape, { training: true, ...this.#rows }),
      sums: new FlatGradients(device, layout, {
        kindOf: () => 'begun',
        leavesOf: leavesOf(this.config, this.shape.grains, this.shape.tensor),
      }),
      gradients: newWeights(device, layout),
      m: device.floats(layout.length),
      v: device.floats(layout.length),
      experts: new LocalExperts(device),
      norm128: device.int64s(2),
      norm: Number.NaN,
      clock: 0,
    };
    return this.#trainer;
  }
}

function newWeights(device: Device, layout: FlatLayout): FlatWeights {
  return new FlatWeights(layout, device.floats(layout.length));
}

/** The norm whose square is a wide sum; NaN when the sum is invalid. */
export function normValue(norm128: BigInt64Array): number {
  return Math.sqrt(wideNumber(norm128, NORM_QUANTUM_LOG2));
}
