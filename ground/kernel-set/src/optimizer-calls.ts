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

/**
 * One tensor, whole: second moments of a matrix by row and by column, of anything else by element.
 *
 * With q = mean(g²) + 1e-30 along a row (sixteen lanes), along a column (a chain over rows), or of an element: R = fma(β2, R, (1-β2)·q), and
 * so the column's C or the element's V. u = (g / √(R / mean R)) / √C, or g / √V; then out = fms(w, keep, α / max(1, rms u) · u), where rms
 * is by `sum.squares` and α the learning rate, with `relative` times max(1e-3, rms w). An element is g² + 1e-30 in one FMA.
 *
 * @see Shazeer and Stern 2018, arXiv:1804.04235, algorithms 4 and 5
 */
export interface AdafactorCall extends UpdateCall {
  readonly op: 'adafactor';
  /** Of a matrix, row-major; of anything else 1 row. */
  readonly rows: number;
  readonly columns: number;
  /** [rows] with `column`, else one value an element. */
  readonly row: Floats;
  /** [columns], of a matrix. */
  readonly column?: Floats;
  /** Decay of second moments at this update: 1 - t^-0.8. */
  readonly beta2: number;
  readonly relative: boolean;
  /** One float an element; what is in it is lost. */
  readonly work: Floats;
}

/**
 * One matrix, whole: m = fma(μ, m, g); the step is (`nesterov`) fma(μ, m, g), else m, made nearly orthogonal: X = step / (√Σstep² + 1e-7),
 * Σ as `sum.squares`; Xᵀ instead where there are more rows than columns; five times A = X·Xᵀ, B = fma(c, A·A, b·A), X = a·X + B·X, each
 * product as KER-1 has it, a·X the start of the chain. out = fms(w, keep, f32(learningRate · scale) · X).
 *
 * A matrix without any gradient (an expert without rows) gets no step: m and the weight decay, that is all. Newton-Schulz undoes the decay
 * of m, so it would move at full speed in an old direction.
 *
 * @see Jordan et al. 2024, Muon; Liu et al. 2025, arXiv:2502.16982
 */
export interface MuonCall extends UpdateCall {
  readonly op: 'muon';
  readonly rows: number;
  readonly columns: number;
  readonly m: Floats;
  /** μ, in [0, 1). */
  readonly momentum: number;
  readonly nesterov: boolean;
  /** Of the step beside the learning rate. */
  readonly scale: number;
  /** {@link muonWork} floats; what is in it is lost. */
  readonly work: Floats;
}

/** Floats that the update of a matrix works in: two of its size and two squares of its smaller side. */
export const muonWork = (rows: number, columns: number): number =>
  2 * rows * columns + 2 * Math.min(rows, columns) ** 2;

/** a, b and c of the polynomial a·x + b·x³ + c·x⁵ of a round of Newton-Schulz, as Muon has them. */
export const NEWTON_SCHULZ = { linear: 3.4445, cubic: -4.775, quintic: 2.0315, rounds: 5 } as const;

export type OptimizerCall = SgdCall | AdafactorCall | MuonCall;
