/** Calls whose sums run over parts that may lie on several ranks (KER-9). */
import type { Floats, Halves, Int64s, Ints } from './device-array.ts';
import type { GradientTarget } from './gradient-target.ts';
import type { Precision, Rows, Weights } from './operands.ts';

/** Parts that a sum may have. */
export const MOST_PARTS = 64;

/**
 * out = base + tree(parts), element by element: neighbours are added in pairs, then pairs of these; an odd last one moves up as it is, so
 * ((0+1)+(2+3))+4. Without `base` the tree alone. `out` may be `base` or one of the parts.
 */
export interface PartialsAddCall {
  readonly op: 'partials.add';
  /** 1 to {@link MOST_PARTS}. */
  readonly parts: readonly Floats[];
  readonly base?: Floats;
  readonly out: Floats;
}

/** A part of the vocabulary: `vocab` words from `firstVocab` on. Targets are words of the whole, or -1. */
interface HeadPart {
  readonly tokens: number;
  readonly dim: number;
  readonly vocab: number;
  readonly firstVocab: number;
  /** bf16 only with precision bf16. */
  readonly x_TD: Floats | Halves;
  readonly head_VD: Weights;
  readonly targets_T: Ints;
  readonly grainStarts: Ints;
  readonly precision?: Precision;
}

/** What a part of the vocabulary leaves for `head.join`, [T] each. */
export interface HeadPartSums {
  readonly max_T: Floats;
  /** Σ exp(logit - max_T), sixteen lanes (KER-2). */
  readonly sum_T: Floats;
  /** Logit of the target where it lies in the part, else +0. */
  readonly logit_T: Floats;
  /** Σ logit, sixteen lanes: what label smoothing needs besides. */
  readonly logitSum_T?: Floats;
}

/** The products of `head.loss` for a part of the vocabulary, and their sums: never holds more than a grain's logits. */
export interface HeadPartialCall extends HeadPart, HeadPartSums {
  readonly op: 'head.partial';
}

/**
 * The loss from the sums of all parts: m = the largest maximum, sum = tree(sum_p·exp(max_p - m)), lse = m + log(sum), loss = lse - logit of the
 * part that has the target; 0 for target -1. With `smoothing` also + ε·(that logit - tree(logitSum_p)/V), V the words of all parts.
 */
export interface HeadJoinCall {
  readonly op: 'head.join';
  readonly tokens: number;
  /** 1 to {@link MOST_PARTS}. */
  readonly parts: readonly (HeadPartSums & { readonly firstVocab: number; readonly vocab: number })[];
  readonly targets_T: Ints;
  readonly grainStarts: Ints;
  readonly lse_T: Floats;
  readonly loss_T: Floats;
  /** As in `head.loss`; absent where another rank counts the loss. */
  readonly lossSum?: Int64s;
  /** As in `head.loss`; with it every part has its `logitSum_T`. */
  readonly smoothing?: number;
  readonly nllSum?: Int64s;
}

/**
 * Gradients of a part, its logits computed again: (exp(logit - lse) - [is the target])·gradScale, 0 for target -1, with `smoothing` as in
 * `head.loss`. dx_TD is a partial sum, headSum gets a leaf a grain.
 */
export interface HeadFinishCall extends HeadPart {
  readonly op: 'head.finish';
  readonly lse_T: Floats;
  readonly gradScale: number;
  readonly smoothing?: number;
  /** With `smoothing`: words of the whole vocabulary. */
  readonly fullVocab?: number;
  readonly dx_TD: Floats;
  readonly headSum: GradientTarget;
}

/** out_T = Σ x² of each row, sixteen lanes: of a part of the rows that a norm is over. */
export interface NormSquaresCall {
  readonly op: 'norm.squares';
  readonly rows: number;
  readonly dim: number;
  readonly x: Rows;
  readonly out_T: Floats;
}

/** out_T = Σ dOut·weight·x̂ of each row, sixteen lanes, x̂ the normalised input: what the backward pass of such a norm takes the mean of. */
export interface NormProductsCall {
  readonly op: 'norm.products';
  readonly rows: number;
  readonly dim: number;
  readonly x: Rows;
  readonly weight: Floats;
  /** As `norm.forward` left it, kind rms. */
  readonly stats: Floats;
  readonly dOut: Rows;
  readonly out_T: Floats;
}

export type PartCall =
  PartialsAddCall | HeadPartialCall | HeadJoinCall | HeadFinishCall | NormSquaresCall | NormProductsCall;
