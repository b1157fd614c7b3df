import { isThenable, runUserCode, shownValue, UserCodeError } from '@troupe/core';

/** What an own gate may look at when it chooses. */
export interface GateQuestion {
  readonly tokens: number;
  readonly experts: number;
  readonly topK: number;
  readonly step: number;
  readonly layer: number;
  /** Index in the global batch of the first token, so that a choice by position is the same for every layout. */
  readonly firstToken: number;
}

/**
 * An own router: picks experts from logits. Combine weights and gradients follow from the chosen probabilities.
 *
 * It must be a pure function of its arguments, row by row, or the run is no longer independent of the layout.
 */
export interface GateRule {
  readonly name: string;
  /** @returns choices, int32 [T, K], each in 0 … E-1 or -1 for none, distinct within a token */
  choose(logits_TE: ArrayLike<number>, question: GateQuestion): Int32Array;
}

/** First place that holds an expert which its token has chosen before; -1: none. */
const repeatedAt = (choices_TK: Int32Array, topK: number): number =>
  choices_TK.findIndex((expert, at) => {
    if (expert === -1) return false;
    for (let before = at - (at % topK); before < at; before++) if (choices_TK[before] === expert) return true;
    return false;
  });

/**
 * What a gate chooses, looked at before anything is routed by it.
 *
 * @throws {UserCodeError} TROUPE_USER_CODE when it throws, or returns what is not one distinct expert, or -1, for each of K choices of T tokens
 */
export function chosenBy(gate: GateRule, logits_TE: ArrayLike<number>, question: GateQuestion): Int32Array {
  const { tokens, experts, topK, step, layer } = question;
  const what = `the gate '${gate.name}' (step ${step}, layer ${layer})`;
  const choices_TK: unknown = runUserCode(what, () => gate.choose(logits_TE, question));
  if (!(choices_TK instanceof Int32Array) || choices_TK.length !== tokens * topK) {
    const hint = isThenable(choices_TK) ? '; a gate answers at once' : '';
    throw new UserCodeError(
      what,
      `returned ${shownValue(choices_TK)}, expected an Int32Array of ${tokens * topK} (${tokens} tokens, ${topK} choices each)${hint}`,
    );
  }
  const at = choices_TK.findIndex((expert) => expert < -1 || expert >= experts);
  if (at >= 0)
    throw new UserCodeError(
      what,
      `chose expert ${choices_TK[at]} for token ${Math.floor(at / topK)}, expected 0 to ${experts - 1}, or -1 for none`,
    );
  const again = repeatedAt(choices_TK, topK);
  if (again >= 0)
    throw new UserCodeError(
      what,
      `chose expert ${choices_TK[again]} twice for token ${Math.floor(again / topK)}; choices of a token are distinct`,
    );
  return choices_TK;
}
