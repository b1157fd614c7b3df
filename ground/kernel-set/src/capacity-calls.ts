/** Calls of routing between a router's logits and the plan of rows: noise, what is kept of the choices, and what it weighs. */
import type { Bytes, Floats, Ints } from './device-array.ts';
import type { GateScores } from './gate-scores.ts';

/**
 * Which random words a routing call takes: those of Philox key `key` and counter (⌊j/4⌋, step, 0, sequence), word j mod 4, where j is an
 * index within the sequence. Nothing of an attempt, a microbatch or a rank is in it, so a word is the same in every layout.
 */
export interface RoutingDraws {
  /** `philoxKey(seed, purpose)`; the layer is in the purpose. */
  readonly key: readonly [number, number];
  /** Of the run; 0 in an evaluation. */
  readonly step: number;
  /** Index of the first row's sequence in the global batch, or among the held-out ones. */
  readonly firstSequence: number;
  /** Rows of a sequence: row t is position t mod seqLen of sequence firstSequence + ⌊t/seqLen⌋. */
  readonly seqLen: number;
}

/**
 * out = x·(1 + width·u), u uniform in (-1, 1) and symmetric: u = s·2⁻³¹ + 2⁻³², s the word as an int32, j = position·dim + element.
 * The same call turns a gradient of `out` into one of `x`. `out` may be `x`.
 *
 * @see Fedus et al. 2021 (Switch), arXiv:2101.03961, §2.2: jitter of a router's input
 */
export interface JitterCall extends RoutingDraws {
  readonly op: 'jitter';
  readonly rows: number;
  readonly dim: number;
  readonly x: Floats;
  readonly out: Floats;
  /** From 0, below 1. */
  readonly width: number;
}

/**
 * Choices that are partly drawn. With K = 2 the first is the largest logit and the second the largest of the other logits with Gumbel noise
 * (GShard); with K = 1 the choice is the largest of all logits with noise (RSample).
 *
 * Noise: -log(-log u), u = (⌊word/2⁹⌋ + ½)·2⁻²³, j = position·E + expert. Ties go to the lower expert; NaN counts as -inf. Padding gets -1.
 *
 * @see Lepikhin et al. 2020 (GShard), arXiv:2006.16668, §2.2
 */
export interface GateSampleCall extends RoutingDraws {
  readonly op: 'gate.sample';
  readonly tokens: number;
  readonly experts: number;
  /** 1 or 2. */
  readonly topK: number;
  readonly logits_TE: Floats;
  readonly valid_T?: Bytes;
  readonly choices_TK: Ints;
}

/** Which of the tokens that chose an expert it keeps when there are more than it has room for. */
export const dropPolicies = ['random', 'position', 'probability'] as const;
export type DropPolicy = (typeof dropPolicies)[number];

/**
 * An expert's capacity: of the choices in a group of rows (a grain) each expert keeps the C of largest 64-bit key and drops the others.
 *
 * C = min(S, max(minCapacity, ⌈S·K·|f|/(E·10⁶)⌉)) in integers, S the valid tokens of the group and f `factorMillionths`, where f < 0 says
 * "as many as needed, at most that" and keeps the same; f = 0 drops nothing. With i the row within its group:
 * - random (Random Token Selection): (255 - level)·2⁵⁶ + word·2²⁴ + (2²⁴ - 1 - i), level the place of the choice, word j = position·K + place;
 * - position: the same with word 0; with K ≥ 3 also with level 0, so that the earliest tokens stay whatever the place of the choice;
 * - probability: bits(p)·2³² + (2³² - 1 - i), p as f32, NaN as 0.
 *
 * A dropped choice becomes -1; those that are kept stay in their places. No effect where nothing overflows.
 *
 * @see Kim et al. 2021, arXiv:2109.10465, §2.1 (Random Token Selection)
 */
export interface RouteSelectCall extends RoutingDraws {
  readonly op: 'route.select';
  readonly tokens: number;
  readonly experts: number;
  readonly topK: number;
  readonly policy: DropPolicy;
  /** Capacity factor in millionths. */
  readonly factorMillionths: number;
  readonly minCapacity: number;
  /** Read by `probability` alone. */
  readonly probs_TE: Floats;
  /** Experts, or -1. */
  readonly choices_TK: Ints;
  readonly valid_T?: Bytes;
  /** Row bounds of the groups; a group has at most 2²⁴ rows. */
  readonly groupStarts: Ints;
  /** May be `choices_TK`. */
  readonly kept_TK: Ints;
  /** One number, to which the number of dropped choices is added. */
  readonly numDropped: Ints;
}

/**
 * Combine weights of choices that are there already, whoever made, took back or dropped them.
 *
 * weight of a place = score of its expert; with `renormalise` and K > 1 divided by the sum of the scores of the token's choices, added in
 * the order of places (plus 1e-20 with sigmoid scores), times `scale`; a place of -1 weighs 0 and adds nothing. A token without choices
 * weighs 0, never NaN. Bits are those of `gate.forward`.
 */
export interface GateWeighCall extends GateScores {
  readonly op: 'gate.weigh';
  readonly tokens: number;
  readonly experts: number;
  /** Places of a token. */
  readonly topK: number;
  readonly renormalise: boolean;
  readonly probs_TE: Floats;
  /** Experts, or -1. */
  readonly choices_TK: Ints;
  /** Given: the choices whose probabilities are the divisor, in place of `choices_TK`: those before some were dropped. */
  readonly divisor_TK?: Ints;
  readonly weights_TK: Floats;
}

export type CapacityCall = JitterCall | GateSampleCall | RouteSelectCall | GateWeighCall;
