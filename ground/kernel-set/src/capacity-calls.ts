/** Calls of routing between a router's choices and the plan of rows: what is kept of them, and what it weighs. */
import type { Floats, Ints } from './device-array.ts';

/**
 * Combine weights of choices that are there already, whoever made, took back or dropped them.
 *
 * weight of a place = probability of its expert; with `renormalise` and K > 1 divided by the sum of the probabilities of the token's
 * choices, added in the order of places; a place of -1 weighs 0 and adds nothing. A token without choices weighs 0, never NaN. Bits are
 * those of `gate.forward`.
 */
export interface GateWeighCall {
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

export type CapacityCall = GateWeighCall;
