import { assert, type Device, type ExactSum, type Floats } from '@troupe/core';
import {
  Activations,
  FlatSums,
  FlatWeights,
  ropeTables,
  StageStatistics,
  type BalanceCoefficients,
  type Batch,
  type StageContext,
} from '@troupe/model';
import { denseUnits, expertUnit, flatLayout, type FlatLayout } from '@troupe/spec';
import { expertRank, jobShape, type Job, type JobShape } from './job.ts';

export type ParameterClassName = 'dense' | 'expert';

/**
 * One class of parameters on one device: two buffers of weights by version parity, and the gradient sums.
 *
 * REP-1: version v lies in buffer v mod 2 and is not written between its commit and the commit of v + 2, so whoever reads
 * weights of an abandoned attempt still finds them.
 */
export class ParameterBuffers {
  readonly layout: FlatLayout;
  readonly weights: readonly [FlatWeights, FlatWeights];
  readonly sums: FlatSums;

  constructor(device: Device, layout: FlatLayout) {
    this.layout = layout;
    this.weights = [
      new FlatWeights(layout, device.floats(layout.length)),
      new FlatWeights(layout, device.floats(layout.length)),
    ];
    this.sums = new FlatSums(layout, device.int64s(layout.length), device.ints(1));
  }

  at(version: number): FlatWeights {
    return this.weights[(version % 2) as 0 | 1];
  }
}

/** What the expert actors of one layer read and add to. */
export interface ExpertBuffers {
  readonly stride: number;
  weights(version: number): Floats;
  readonly sum: ExactSum;
  /** First and last element in the class's flat buffer. */
  readonly from: number;
  readonly to: number;
}

/**
 * Everything that the actors of one worker share because they stand on one device: its buffers. The actors own it by role (the stage its
 * activations, the optimizers the weights and sums); this only holds them together.
 */
export class Replica {
  readonly dp: number;
  readonly job: Job;
  readonly shape: JobShape;
  readonly device: Device;
  readonly dense: ParameterBuffers;
  readonly experts: ParameterBuffers | null;
  readonly statistics: StageStatistics;
  readonly evaluationStatistics: StageStatistics;
  /** Batch of the microbatch that is being computed. */
  batch: Batch | null = null;
  /** Gradient coefficients of the balance losses of the open step. */
  balance: BalanceCoefficients | null = null;
  /** Tokens of the global batch of the open step, padding not counted. */
  globalTokens = 0;
  /** Time inside kernels since the last measurement, milliseconds. */
  kernelMs = 0;
  readonly #training: readonly [StageContext, StageContext];
  readonly #evaluation: readonly [StageContext, StageContext];

  constructor(job: Job, dp: number, device: Device) {
    this.job = job;
    this.dp = dp;
    this.device = this.#metered(device);
    this.shape = jobShape(job);
    this.dense = new ParameterBuffers(device, flatLayout(denseUnits(job.model)));
    const { ep } = expertRank(job, dp);
    const { expertsPerRank, layers } = this.shape;
    const units = layers.flatMap((layer) =>
      Array.from({ length: expertsPerRank }, (_, index) =>
        expertUnit(job.model, layer, ep * expertsPerRank + index),
      ),
    );
    this.experts = units.length === 0 ? null : new ParameterBuffers(device, flatLayout(units));
    this.statistics = new StageStatistics(device, job.model);
    this.evaluationStatistics = new StageStatistics(device, job.model);
    const shape = {
      config: job.model,
      sequences: this.shape.microbatchSequences,
      grains: this.shape.microbatchGrains,
    };
    const rope = ropeTables(device, job.model);
    const contexts = (
      training: boolean,
      statistics: StageStatistics,
    ): readonly [StageContext, StageContext] => {
      const act = new Activations(device, shape, { training, ranks: job.ep });
      const context = (parity: 0 | 1): StageContext => ({
        shape,
        weights: this.dense.weights[parity],
        sums: training ? this.dense.sums : null,
        act,
        rope,
        statistics,
      });
      return [context(0), context(1)];
    };
    this.#training = contexts(true, this.statistics);
    this.#evaluation =
      job.evaluationSequences > 0 ? contexts(false, this.evaluationStatistics) : this.#training;
  }

  /** The device, with its kernel time counted. */
  #metered(device: Device): Device {
    return {
      info: device.info,
      floats: (length) => device.floats(length),
      ints: (length) => device.ints(length),
      int64s: (length) => device.int64s(length),
      bytes: (length) => device.bytes(length),
      close: () => device.close(),
      submit: (calls, done) =>
        device.submit(calls, (completion) => {
          this.kernelMs += completion.kernelMs;
          done(completion);
        }),
    };
  }

  context(version: number, mode: PassMode): StageContext {
    return (mode === 'train' ? this.#training : this.#evaluation)[(version % 2) as 0 | 1];
  }

  buffers(parameterClass: ParameterClassName): ParameterBuffers {
    const buffers = parameterClass === 'dense' ? this.dense : this.experts;
    assert(buffers !== null, 'a model without experts has no expert parameters');
    return buffers;
  }

  /** The slice of the expert class that belongs to one layer. */
  expertBuffers(layer: number): ExpertBuffers {
    const buffers = this.buffers('expert');
    const { expertsPerRank, layers } = this.shape;
    const index = layers.indexOf(layer) * expertsPerRank;
    const from = buffers.layout.starts[index] ?? 0;
    const stride = buffers.layout.units[index]?.paddedSize ?? 0;
    const to = from + stride * expertsPerRank;
    const views = buffers.weights.map((weights) => weights.data.subarray(from, to));
    const sum: ExactSum = { values: buffers.sums.values.subarray(from, to), overflow: buffers.sums.overflow };
    return {
      stride,
      from,
      to,
      sum,
      weights: (version) => views[version % 2] as Floats,
    };
  }
}

/** `train` keeps what backward needs and counts statistics; `evaluate` is a forward pass over held-out sequences. */
export type PassMode = 'train' | 'evaluate';
export const passMode = (value: unknown): PassMode => (value === 'evaluate' ? 'evaluate' : 'train');
