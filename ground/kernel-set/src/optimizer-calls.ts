/** Updates of parameters beside AdamW. Every one reads g = f32(gradient) · gradScale, all in f32, constants rounded once from float64. */
import type { Floats, Int64s } from './device-array.ts';

/** What all updates have in common. */
interface UpdateCall {
  readonly weights: Floats;
  /** May be `weights`. */
  readonly out: Floats;
  /** Values of an exact sum, or a stored gradient; as long as `weights`. */
  readonly gradient: Int64s | Floats;
  readonly gradScale: number;
  readonly learningRate: number;
  /** Decoupled: w keeps 1 - learningRate · weightDecay of itself. */
  readonly weightDecay: number;
}

/**
 * v = fma(μ, v, g); out = fms(w, keep, learningRate · v), with Nesterov's step learningRate · fma(μ, v, g) instead.
 *
 * @see Sutskever et al. 2013, "On the importance of initialization and momentum in deep learning"
 */
export interface SgdCall extends UpdateCall {
  readonly op: 'sgd';
  readonly v: Floats;
  /** μ, in [0, 1). */
  readonly momentum: number;
  readonly nesterov: boolean;
}

export type OptimizerCall = SgdCall;
