/**
 * Expert choice: at each position, the experts choose among the sequences of a group.
 *
 * A *group* is the valid tokens at one position of `groupSequences` (n) consecutive sequences; an expert takes
 * k_q = floor((2·n_v·chosen + n)/(2n)) of its n_v valid tokens. Sequences of a call are rows of `seqLen` (S) positions; they are cut into *parts*
 * of `partSequences`, and a part lies within one group. Where groups are local, a part is a group; where a group spans replicas, each of them has
 * some parts of it.
 *
 * `choice.candidates` (each part) → keys travel to who decides → `choice.thresholds` (all parts of a group) → thresholds travel back →
 * `choice.take` (each part). In one process the arrays are handed on as they are.
 *
 * CHOICE-1: candidates are compared by *keys*, integers that no two tokens of a group share: the f32 bits of the probability in the upper half,
 * 2^32-1-i below, i the index of the sequence in its group. So the more probable token wins, then the earlier sequence, wherever they are
 * computed. A probability that is not above 0, NaN among them, has bits 0; padding has no key. The top k of a group lie in the union of the
 * top min(k, size) of its parts.
 */
import type { Bytes, Floats, Int64s, Ints } from './device-array.ts';

/** Threshold where an expert takes nobody: above every key. */
export const TAKES_NONE = 2n ** 63n - 1n;
/** In place of a candidate where there are fewer: below every key. */
export const NO_CANDIDATE = -1n;
/** `probSums_E` counts in multiples of 2^-36: probabilities are at most 1, so int64 has room for 2^27 groups. */
export const CHOICE_QUANTUM_LOG2 = -36;

/** Sequences that a group may have. */
export const MOST_GROUP_SEQUENCES = 2 ** 20;

/** Probabilities of whole sequences, and which sequences of which groups they are. */
export interface ChoiceParts {
  /** Sequences·seqLen; a multiple of seqLen·partSequences. */
  readonly tokens: number;
  readonly experts: number;
  readonly seqLen: number;
  /** Sequences of a part; divides `groupSequences`. */
  readonly partSequences: number;
  /** n, at most {@link MOST_GROUP_SEQUENCES}. */
  readonly groupSequences: number;
  /**
   * Index of the call's first sequence where groups begin at multiples of `groupSequences` (such as its index in the global microbatch); a
   * multiple of `partSequences`. Sequence s of the call has index (firstSequence + s) mod n in its group.
   */
  readonly firstSequence: number;
  readonly probs_TE: Floats;
  /** 0: padding, which nobody takes; absent: all are valid. */
  readonly valid_T?: Bytes;
}

/** The `take` largest keys of each part at each position, for each expert, falling; behind them {@link NO_CANDIDATE}. */
export interface ChoiceCandidatesCall extends ChoiceParts {
  readonly op: 'choice.candidates';
  /** At least min(k, partSequences), k what an expert takes of a group without padding. */
  readonly take: number;
  /** [P, S, E, take], P parts of the call. */
  readonly keys: Int64s;
  /** Valid tokens of each part at each position, [P, S]. */
  readonly numValid: Ints;
}

/** What one part of every group says: candidates and valid tokens at a list of positions, as `choice.candidates` wrote them. */
export interface ChoiceSource {
  /** [Q, E, take], falling. */
  readonly keys: Int64s;
  /** [Q]. */
  readonly numValid: Ints;
}

/**
 * The k_q-th largest key of every group and expert, {@link TAKES_NONE} where k_q is 0: who has that key or a larger one is taken.
 *
 * Groups are a list of Q (whichever positions of whichever groups this process decides); every source has the same list.
 *
 * @throws TROUPE_KERNEL_RANGE for more valid tokens than groupSequences, or fewer candidates than an expert takes
 */
export interface ChoiceThresholdsCall {
  readonly op: 'choice.thresholds';
  /** Q. */
  readonly positions: number;
  readonly experts: number;
  /** As in `choice.candidates`. */
  readonly take: number;
  /** One a part of a group, in any order; at least one. */
  readonly sources: readonly ChoiceSource[];
  /** n. */
  readonly groupSequences: number;
  /** k: what an expert takes of a group without padding, from 1 to n. */
  readonly chosen: number;
  /** [Q, E]. */
  readonly thresholds: Int64s;
  /**
   * For generation, which has no groups: adds the probability in each threshold to its expert, in multiples of 2^{@link CHOICE_QUANTUM_LOG2},
   * a larger one counting as 1, rounded to nearest even; groups that take nobody add nothing.
   */
  readonly probSums_E?: Int64s;
  /** [1]: adds the number of groups that take anybody; the same for every expert. */
  readonly numGroups?: Int64s;
}

/**
 * choices_TE[t, e] = e where the key of (t, e) reaches the threshold of its part, position and expert, else -1: with K = E places of a token
 * these are choices in ascending order of experts, for `gate.forward` (`choicesGiven`) and `route.plan`.
 */
export interface ChoiceTakeCall extends ChoiceParts {
  readonly op: 'choice.take';
  /** [P, S, E]. */
  readonly thresholds: Int64s;
  readonly choices_TE: Ints;
}

/** Without groups: choices_TE[t, e] = e where the probability is at least thresholds_E[e], else -1. NaN and padding reach nothing. */
export interface ChoiceAboveCall {
  readonly op: 'choice.above';
  readonly tokens: number;
  readonly experts: number;
  readonly probs_TE: Floats;
  readonly valid_T?: Bytes;
  readonly thresholds_E: Floats;
  readonly choices_TE: Ints;
}

export type ChoiceCall = ChoiceCandidatesCall | ChoiceThresholdsCall | ChoiceTakeCall | ChoiceAboveCall;
