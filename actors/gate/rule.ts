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
