/**
 * The kernel set: what every device body can compute, as plain data.
 *
 * A caller hands a device a *list* of calls, which runs in order on the device's own queue: one hop from
 * JavaScript per layer, not per operation. Arrays are passed by reference and must not be touched by the caller
 * between `submit` and its completion. Row-major everywhere. A weight is `[out, in]` as in PyTorch, so a product
 * is y = x·Wᵀ.
 *
 * Shape letters: B sequences, S positions, T tokens (B·S), D model, F hidden, E experts, K choices, N routed rows,
 * H heads, V vocabulary, G grains, U distinct tokens that one source sent.
 *
 * Layout-free arithmetic (invariants that every native body holds, bit for bit; the float64 reference and
 * TensorFlow.js bodies only approximate them):
 * - KER-1: a product is, per output element, the FMA chain over k that starts from the output's previous value when
 *   `accumulate` is true, else from +0. Rows beside it, blocks, threads and instruction sets do not show.
 * - KER-2: a reduction along a row uses 16 lanes (lane j takes elements j, j+16, …, an FMA chain each), then
 *   lanes are added as a tree of halves (8, 4, 2, 1).
 * - KER-3: a gradient of a weight is summed over each grain on its own as an FMA chain from +0 over the
 *   grain's rows in order (the *leaf*), the leaf is rounded once to int64 fixed point and added to an
 *   {@link ExactSum}; so sums over grains, microbatches and replicas have no order. Where all leaves come from one call, the
 *   sum never leaves it ({@link StoredGradient}), with the same value.
 * - KER-4: no libm and no approximate reciprocals: exp, log, erf, tanh are polynomials of our own, the same for all.
 * - KER-5: an empty input (0 rows) is legal everywhere.
 * - KER-6: with `precision: 'bf16'` both operands of a product are rounded to bf16 first (nearest even; a denormal becomes a zero
 *   of its sign), and the chain of an element runs over pairs (k, k+1) of consecutive k: per pair two FMAs in f32, element k+1
 *   first, then k, denormal inputs and results taken as zeros: what `vdpbf16ps` computes, or the same in two FMAs. An odd end
 *   is a pair with a zero. So k may be cut at even positions only; a leaf's rows (KER-3) are paired from the grain's first row on.
 *   Only products are bf16: norms, softmax, attention, router, sums, optimizer and master weights are f32.
 * - KER-9: what a product, Σ exp or a norm adds up over parts that may lie on several ranks is computed for each part on its own, as KER-1
 *   and KER-2 say, and the parts are added as a tree of adjacent pairs ((0+1)+(2+3))+… (`partials.add`), before what they are added to.
 *   So ranks that hold neighbouring parts, a whole subtree, send one number, and where parts lie does not show.
 */
import type { AttentionCall } from './attention-calls.ts';
import type { BiasCall } from './bias-calls.ts';
import type { ThresholdCall } from './threshold-calls.ts';
import type { CapacityCall } from './capacity-calls.ts';
import type { ChoiceCall } from './choice-calls.ts';
import type { ExpertCall } from './expert-calls.ts';
import type { ExpertLayerCall } from './expert-layer-calls.ts';
import type { GateGroups, GateScores } from './gate-scores.ts';
import type { ExactSum, GradientTarget } from './gradient-target.ts';
import type { HalfRows, NormKind, Precision, Rows, Weights } from './operands.ts';
import type { OptimizerCall } from './optimizer-calls.ts';
import type { PartCall } from './part-calls.ts';
import type { PositionsAddCall } from './position-calls.ts';
import type { Bytes, Floats, Halves, Int64s, Ints } from './device-array.ts';

/** Gradient leaves are multiples of 2^-50 … */
export const GRADIENT_QUANTUM_LOG2 = -50;
/** … loss-like sums (losses, balance statistics) of 2^-36 in 128 bits, see wide-sum.ts: sum < 2^90 … */
export const LOSS_QUANTUM_LOG2 = -36;
/** … and squared norms of 2^-80 in 128 bits: sum < 2^46. */
export const NORM_QUANTUM_LOG2 = -80;
/** Squares are added up in leaves of this many consecutive elements of a tensor; slices start at multiples of it. */
export const NORM_BLOCK = 1024;

/** Draws element i of a parameter from its own counter, so that any slice of it can be filled alone. */
export interface FillCall {
  readonly op: 'fill';
  readonly out: Floats;
  readonly kind: 'constant' | 'uniform' | 'normal' | 'truncated-normal';
  /** constant: the value; uniform: half width (symmetric about 0); normal: standard deviation; truncated-normal: standard deviation before the cut at two of them. */
  readonly scale: number;
  /** `philoxKey(seed, name)`; element i of the parameter uses word i mod 4 of counter (floor(i/4), 0, attempt, 0). */
  readonly key: readonly [number, number];
  /** Index of `out[0]` in the whole parameter. */
  readonly firstIndex: number;
  /**
   * Given, with `rowStride`: `out` is a block of columns of a matrix. Element j is element firstIndex + floor(j/rowLength)·rowStride +
   * j mod rowLength of the parameter.
   */
  readonly rowLength?: number;
  readonly rowStride?: number;
}

export interface CopyCall {
  readonly op: 'copy';
  readonly from: Floats;
  readonly out: Floats;
}

/**
 * out = x as bf16 stores it: rounded to nearest even, a denormal to a zero of its sign; in either storage. Numbers that are bf16 already
 * are only copied, packed or widened. `out` may be `x`.
 */
export interface RoundCall {
  readonly op: 'round.bf16';
  readonly x: Floats | Halves;
  readonly out: Floats | Halves;
}

/** out_TD = table_VD[ids_T]. @throws TROUPE_KERNEL_RANGE (as the completion's error) for an id outside 0 … V-1 */
export interface EmbedForwardCall {
  readonly op: 'embed.forward';
  readonly ids_T: Ints;
  readonly table_VD: Floats;
  readonly out_TD: Floats;
  readonly dim: number;
  /** Given: the table is a part of the vocabulary, from this id on. Ids before and behind it leave their rows of `out_TD` as they are. */
  readonly firstId?: number;
}

/** tableSum gets the rows of dOut_TD by id, a leaf per grain. */
export interface EmbedBackwardCall {
  readonly op: 'embed.backward';
  readonly ids_T: Ints;
  readonly dOut_TD: Floats;
  readonly dim: number;
  /** G+1 row bounds of the grains, first 0, last T. */
  readonly grainStarts: Ints;
  readonly tableSum: GradientTarget;
  /** As in the forward pass: ids before and behind the part add nothing. */
  readonly firstId?: number;
}

/**
 * Normalises `groups` segments of `dim` elements in each row. rms: x·rsqrt(mean(x²)+eps)·weight; layer: (x-mean)·rsqrt(var+eps)·weight+bias.
 * `groups` > 1 (query/key norm per head) shares the weight among segments.
 */
export interface NormForwardCall {
  readonly op: 'norm.forward';
  readonly kind: NormKind;
  readonly rows: number;
  readonly groups: number;
  readonly dim: number;
  readonly eps: number;
  readonly x: Rows;
  readonly weight: Floats;
  readonly bias?: Floats;
  /** bf16: rounded to nearest even, for products in bf16. */
  readonly out: Rows | HalfRows;
  /** Saved for backward: rows·groups inverse deviations; kind layer: followed by rows·groups means. */
  readonly stats: Floats;
  /** Of rows that are parts of longer ones: what `norm.squares` gave of all parts, added up. Kind rms, one group. */
  readonly squares_T?: Floats;
  /** With `squares_T`: elements of the longer row. */
  readonly fullDim?: number;
}

/** dx (+)= gradient; weightSum and biasSum get a leaf per grain. Residual gradients come in through `accumulate`. */
export interface NormBackwardCall {
  readonly op: 'norm.backward';
  readonly kind: NormKind;
  readonly rows: number;
  readonly groups: number;
  readonly dim: number;
  readonly x: Rows;
  readonly weight: Floats;
  readonly stats: Floats;
  readonly dOut: Rows;
  readonly dx: Rows;
  readonly accumulate: boolean;
  readonly grainStarts: Ints;
  readonly weightSum: GradientTarget;
  readonly biasSum?: GradientTarget;
  /** As `squares_T` of the forward pass: what `norm.products` gave, added up. */
  readonly products_T?: Floats;
  readonly fullDim?: number;
}

/** out[M,N] (+)= x[M,K]·weight[N,K]ᵀ. With `residual` the chain starts from residual[M,N] (not together with accumulate). */
export interface LinearForwardCall {
  readonly op: 'linear.forward';
  readonly rows: number;
  readonly inDim: number;
  readonly outDim: number;
  /** bf16 rows only with precision bf16. */
  readonly x: Rows | HalfRows;
  readonly weight: Weights;
  readonly out: Rows;
  readonly accumulate?: boolean;
  readonly residual?: Rows;
  readonly precision?: Precision;
}

/** dx[M,K] (+)= dOut[M,N]·weight[N,K]. */
export interface LinearBackwardInputCall {
  readonly op: 'linear.backward.input';
  readonly rows: number;
  readonly inDim: number;
  readonly outDim: number;
  readonly dOut: Rows;
  readonly weight: Weights;
  readonly dx: Rows;
  readonly accumulate?: boolean;
  readonly precision?: Precision;
}

/** weightSum[N,K] gets, for each grain, the leaf dOutᵀ·x. */
export interface LinearBackwardWeightCall {
  readonly op: 'linear.backward.weight';
  readonly rows: number;
  readonly inDim: number;
  readonly outDim: number;
  readonly dOut: Rows;
  /** bf16 rows only with precision bf16. */
  readonly x: Rows | HalfRows;
  readonly grainStarts: Ints;
  readonly weightSum: GradientTarget;
  readonly precision?: Precision;
}

/**
 * Turns pairs (i, i + headDim/2) of each head by the angle of its position, in place; `inverse` is the backward pass.
 * cos_S2, sin_S2 are [S, headDim/2]; row t stands at position t mod seqLen (+ firstPosition).
 */
export interface RopeCall {
  readonly op: 'rope';
  readonly rows: number;
  readonly seqLen: number;
  readonly heads: number;
  readonly headDim: number;
  readonly x: Rows;
  readonly cos_S2: Floats;
  readonly sin_S2: Floats;
  readonly inverse: boolean;
  /** Position of the first row of each sequence; default 0 (generation with a cache sets it). */
  readonly firstPosition?: number;
}

/**
 * Scores and choices of a token-choice router, after its logits are known (`linear.forward` of the gate weight).
 *
 * probs = softmax(logits), or 1 / (1 + exp(-logit)) of each. Choices: those given; or the k largest logits, ties to the lower expert, in
 * falling order. With sigmoid scores, groups or a bias they are chosen by key = score + bias (f32) and stored by rising expert: a group is
 * worth the sum of its two largest keys, the `topGroups` worthiest are kept (ties to the lower group), and of their experts those with the
 * k largest keys (ties to the lower expert). NaN counts as -inf.
 * Combine weights: the chosen scores (never with the bias), divided by their sum when `renormalise` and K > 1 (plus 1e-20 with sigmoid),
 * times `scale`. A token with valid_T[t] = 0 (padding) gets choices -1 and weights 0.
 *
 * @see DeepSeek-AI 2024, arXiv:2412.19437, §2.1.2; Wang et al. 2024, arXiv:2408.15664 (bias)
 */
export interface GateForwardCall extends GateScores, GateGroups {
  readonly op: 'gate.forward';
  readonly tokens: number;
  readonly experts: number;
  readonly topK: number;
  readonly renormalise: boolean;
  /** Added to scores where experts are chosen. */
  readonly bias_E?: Floats;
  readonly logits_TE: Floats;
  readonly valid_T?: Bytes;
  /** True: `choices_TK` is an input (an own gate, forced balance); a choice of -1 is a dropped one. */
  readonly choicesGiven: boolean;
  readonly probs_TE: Floats;
  readonly choices_TK: Ints;
  readonly weights_TK: Floats;
}

/**
 * Balance statistics and loss-like sums of one layer, before any coefficient.
 *
 * For the rows of each group (a sequence, `groupStarts`): f_e = choices of e / (valid tokens · K), p_e = mean probability; of sigmoid scores
 * the probability is s_e / Σ_j s_j (0 where all are 0).
 * lossSums[0] += Σ_groups E·Σ_e f_e·p_e (0 for a group without valid tokens); lossSums[1] += Σ_tokens logsumexp²;
 * both wide sums (wide-sum.ts) of LOSS_QUANTUM, a leaf per group. counts_E and probSums (such a sum per expert) add up over all rows,
 * for the `global` scope and for load metrics.
 */
export interface BalanceForwardCall extends Pick<GateScores, 'scores'> {
  readonly op: 'balance.forward';
  readonly tokens: number;
  readonly experts: number;
  readonly topK: number;
  readonly logits_TE: Floats;
  readonly probs_TE: Floats;
  readonly choices_TK: Ints;
  readonly valid_T?: Bytes;
  /** B+1 row bounds of the groups. */
  readonly groupStarts: Ints;
  /** Saved for backward: f of each group, [B, E]. */
  readonly fractions_BE: Floats;
  /** Four words. */
  readonly lossSums: Int64s;
  readonly counts_E: Ints;
  /** 2·E words. */
  readonly probSums_E: Int64s;
}

/**
 * Gradient of everything that depends on the logits: combine weights, balance loss, z-loss.
 *
 * dLogits = softmax backward of (weights backward of dWeights_TK + auxScale·E·f_e/n_group at valid tokens) + zScale·2·logsumexp·softmax,
 * or s·(1 - s) of (weights backward + that balance term through s_e / Σ_j s_j) with sigmoid scores; choices and bias are constants. Here
 * n_group is the number of valid tokens of the token's group. `fractions` has one row per group, or one row
 * for all (`fractionsGlobal`: then n_group is replaced by 1 and the caller folds 1/n into auxScale).
 */
export interface GateBackwardCall extends GateScores {
  readonly op: 'gate.backward';
  readonly tokens: number;
  readonly experts: number;
  readonly topK: number;
  readonly renormalise: boolean;
  readonly logits_TE: Floats;
  readonly probs_TE: Floats;
  readonly choices_TK: Ints;
  readonly weights_TK: Floats;
  readonly dWeights_TK: Floats;
  readonly valid_T?: Bytes;
  readonly groupStarts: Ints;
  readonly fractions: Floats;
  readonly fractionsGlobal: boolean;
  readonly auxScale: number;
  readonly zScale: number;
  readonly dLogits_TE: Floats;
}

/**
 * Plans the permutation: rows sorted by (rank, expert, token), so that the rows of a rank lie side by side. A token picks an expert at most
 * once.
 *
 * `rankOf_E` says which rank has an expert; a rank may have none. For every rank, `rankTokens` lists the distinct tokens it needs in
 * ascending order, so a token travels once to a rank that holds several of its experts.
 */
export interface RoutePlanCall {
  readonly op: 'route.plan';
  readonly tokens: number;
  readonly experts: number;
  readonly topK: number;
  /** Where experts choose: choices of a token on average, for who plans without looking at any. */
  readonly meanChoices?: number;
  readonly ranks: number;
  /** From 0 to ranks - 1, [E]. */
  readonly rankOf_E: Ints;
  readonly choices_TK: Ints;
  readonly grainStarts: Ints;
  /** Rows of each (expert, grain), [E, G], experts in the order of rows: by rank, then by number. */
  readonly counts_EG: Ints;
  /** Sorted row of each choice, -1 for none, [T, K]. */
  readonly position_TK: Ints;
  /** Sorted row → index into `rankTokens` of its rank (0-based within that rank), capacity T·K. */
  readonly slots_N: Ints;
  /** Sorted row → t·K + choice, capacity T·K. */
  readonly choiceOfRow_N: Ints;
  /** Distinct tokens by rank, rank r's list starts at r·T; capacity ranks·T. */
  readonly rankTokens: Ints;
  /** [ranks]: number of distinct tokens; and [ranks]: number of rows. */
  readonly numTokens_R: Ints;
  readonly numRows_R: Ints;
}

/** out[i] = x[index[i]] for the first `rows` indices (rows of `dim`). */
export interface GatherCall {
  readonly op: 'gather';
  readonly rows: number;
  readonly dim: number;
  readonly x: Floats;
  readonly index: Ints;
  readonly out: Floats;
}

/** out[i] = values[index[i]] for scalars: combine weights in row order. */
export interface GatherScalarsCall {
  readonly op: 'gather.scalars';
  readonly count: number;
  readonly values: Floats;
  readonly index: Ints;
  readonly out: Floats;
}

/** Rows that came back from one rank: sorted rows [firstRow, firstRow + rows) of the plan. */
export interface RowsPart {
  readonly firstRow: number;
  readonly rows: number;
  readonly data: Floats;
}

/**
 * out_TD[t] = base_TD[t] (or +0) + Σ_k w_tk · row(position_TK[t,k]), an FMA chain in choice order; weights absent: 1.
 * A position of -1 adds nothing. `out` may be `base`.
 */
export interface CombineCall {
  readonly op: 'combine';
  readonly tokens: number;
  readonly topK: number;
  readonly dim: number;
  readonly parts: readonly RowsPart[];
  readonly position_TK: Ints;
  readonly weights_TK?: Floats;
  readonly base_TD?: Floats;
  readonly out_TD: Floats;
}

/** dWeights_TK[t,k] = ⟨dOut_TD[t], row(position_TK[t,k])⟩, 0 for position -1. */
export interface CombineBackwardWeightsCall {
  readonly op: 'combine.backward.weights';
  readonly tokens: number;
  readonly topK: number;
  readonly dim: number;
  readonly parts: readonly RowsPart[];
  readonly position_TK: Ints;
  readonly dOut_TD: Floats;
  readonly dWeights_TK: Floats;
}

/**
 * Head and cross entropy in one: logits = x·headᵀ, loss_T = logsumexp - logit[target]; targets of -1 are ignored.
 *
 * With `smoothing` ε: loss_T = logsumexp - (1-ε)·logit[target] - (ε/V)·Σ logits, its gradient softmax - (1-ε)·[is the target] - ε/V.
 *
 * Adds Σ loss over valid targets to lossSum, a wide sum (LOSS_QUANTUM, a leaf per grain, float64 chain). With `dx_TD` also the
 * backward pass, with the gradient of the mean: every token's gradient carries `gradScale` (1 / valid targets of the
 * global batch). Never holds more than one grain's logits.
 */
export interface HeadLossCall {
  readonly op: 'head.loss';
  readonly tokens: number;
  readonly dim: number;
  readonly vocab: number;
  /** bf16 only with precision bf16. */
  readonly x_TD: Floats | Halves;
  readonly head_VD: Weights;
  readonly targets_T: Ints;
  readonly grainStarts: Ints;
  readonly loss_T: Floats;
  /** Two words. */
  readonly lossSum: Int64s;
  /** Label smoothing ε, 0 (default) to less than 1. @see Szegedy et al. 2015, arXiv:1512.00567, §7 */
  readonly smoothing?: number;
  /** Given: gets what `lossSum` would get without smoothing. Two words. */
  readonly nllSum?: Int64s;
  readonly gradScale?: number;
  readonly dx_TD?: Floats;
  readonly headSum?: GradientTarget;
  readonly precision?: Precision;
}

/** sum += other, exactly; overflow flags are or-ed. */
export interface SumAddCall {
  readonly op: 'sum.add';
  readonly sum: ExactSum;
  readonly other: Int64s;
  readonly otherOverflow: number;
}

/** Sets every value and the overflow flag to zero. */
export interface SumResetCall {
  readonly op: 'sum.reset';
  readonly sum: ExactSum;
}

/** out = values · 2^GRADIENT_QUANTUM_LOG2, rounded once. */
export interface SumReadCall {
  readonly op: 'sum.read';
  readonly sum: Int64s;
  readonly out: Floats;
}

/**
 * norm128 += Σ g², g the f32 value of each element of a sum, or a stored gradient itself; leaves of NORM_BLOCK elements from
 * the start of the array. norm128 is a wide sum (wide-sum.ts), quantum 2^NORM_QUANTUM_LOG2.
 */
export interface SumSquaresCall {
  readonly op: 'sum.squares';
  readonly gradient: Int64s | Floats;
  readonly norm128: Int64s;
}

/**
 * AdamW with decoupled decay over a slice. g = f32(gradient)·gradScale;
 * m = β1·m + (1-β1)·g; v = β2·v + (1-β2)·g²; out = w·(1 - lr·decay) - lr·(m/c1)/(sqrt(v/c2) + eps).
 * `out` may be `weights`. Numbers arrive as float64 and are rounded to f32 once.
 *
 * @see Loshchilov and Hutter 2017, arXiv:1711.05101
 */
export interface AdamWCall {
  readonly op: 'adamw';
  readonly weights: Floats;
  readonly out: Floats;
  readonly m: Floats;
  readonly v: Floats;
  /** Values of an exact sum, or a stored gradient. */
  readonly gradient: Int64s | Floats;
  readonly gradScale: number;
  readonly learningRate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly eps: number;
  readonly weightDecay: number;
  /** 1 - β1^t and 1 - β2^t of the optimizer's clock t. */
  readonly correction1: number;
  readonly correction2: number;
}

export type KernelCall =
  | FillCall
  | CopyCall
  | RoundCall
  | EmbedForwardCall
  | EmbedBackwardCall
  | NormForwardCall
  | NormBackwardCall
  | LinearForwardCall
  | LinearBackwardInputCall
  | LinearBackwardWeightCall
  | RopeCall
  | PositionsAddCall
  | GateForwardCall
  | BalanceForwardCall
  | GateBackwardCall
  | RoutePlanCall
  | GatherCall
  | GatherScalarsCall
  | CombineCall
  | CombineBackwardWeightsCall
  | HeadLossCall
  | SumAddCall
  | SumResetCall
  | SumReadCall
  | SumSquaresCall
  | AdamWCall
  | AttentionCall
  | BiasCall
  | CapacityCall
  | ChoiceCall
  | ThresholdCall
  | OptimizerCall
  | ExpertCall
  | PartCall
  | ExpertLayerCall;

/** What every body computes. */
export type KernelOp = Exclude<KernelCall, ExpertLayerCall>['op'];
