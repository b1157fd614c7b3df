import { assert } from '@troupe/core';
import type { Precision } from '@troupe/kernel-set';
import type { ModelConfig, StreamName } from '@troupe/spec';
import { StageShapeError } from './errors.ts';
import { wholeShare, type TensorShare } from './tensor-share.ts';

/** What one data-parallel replica computes in one microbatch. */
export interface StageShape {
  readonly config: ModelConfig;
  /** Sequences of the microbatch (B); each has `config.seqLen` positions. */
  readonly sequences: number;
  /** Grains of the microbatch (G): blocks of sequences/grains consecutive sequences. */
  readonly grains: number;
  /** Format of the products' operands and of what only they read again; default f32. The gate is f32 always. */
  readonly precision?: Precision;
  /** Format of rows between gates and experts, to which they are rounded wherever the experts are; default f32. */
  readonly rowFormat?: Precision;
  /** Label smoothing ε of the loss in training; default 0. What is reported and evaluated is the loss without it. */
  readonly smoothing?: number;
  /** Default: matrices are whole. */
  readonly tensor?: TensorShare;
}

/** What of the tensor axis a device computes. */
export const tensorShareOf = ({ tensor }: Pick<StageShape, 'tensor'>): TensorShare => tensor ?? wholeShare;

/** The shape of one stream: its length takes the place of `seqLen`, so that whatever is made of a shape is that stream's. */
export function streamShape(shape: StageShape, stream: StreamName): StageShape {
  const { encoder } = shape.config;
  if (stream === 'decoder') return shape;
  assert(encoder !== null, 'a decoder-only model has one stream', { stream });
  return { ...shape, config: { ...shape.config, seqLen: encoder.seqLen } };
}

/** T = sequences · seqLen. */
export function tokensOf(shape: StageShape): number {
  return shape.sequences * shape.config.seqLen;
}

/** Groups of rows of a microbatch in which the balance of experts is measured: sequences, or domains of whole grains. */
export function balanceGroups({ config, sequences, grains }: StageShape): number {
  const balance = config.moe?.balance;
  if (balance?.scope !== 'domain') return sequences;
  // Evaluation and generation balance nothing, and may have any number of grains.
  return grains % balance.domain === 0 ? grains / balance.domain : grains;
}

/** @throws {StageShapeError} TROUPE_MODEL_SHAPE when the grains do not divide the sequences evenly */
export function checkShape(shape: StageShape): void {
  const { sequences, grains } = shape;
  if (sequences < 1 || grains < 1 || sequences % grains !== 0) {
    throw new StageShapeError(
      `${sequences} sequences a microbatch do not divide into ${grains} grains; choose a divisor of ${sequences}`,
      { sequences, grains },
    );
  }
}

/** parts + 1 bounds that cut `tokens` rows evenly. */
export function rowBounds(tokens: number, parts: number): Int32Array {
  return Int32Array.from({ length: parts + 1 }, (_, part) => (tokens / parts) * part);
}
