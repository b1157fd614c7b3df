/** How a router makes scores of its logits: over all experts together, or of each expert by itself. */
export const routerScores = ['softmax', 'sigmoid'] as const;

/** Which scores a call reads or writes, and what their weights are multiplied by. */
export interface GateScores {
  /** Default softmax. */
  readonly scores?: (typeof routerScores)[number];
  /** Factor of the combine weights, in f32; default 1. */
  readonly scale?: number;
}

/** Equal runs of experts, of which a token keeps some before it chooses; default one run. */
export interface GateGroups {
  /** Divides `experts`. */
  readonly expertGroups?: number;
  /** At most `expertGroups`; they have at least K experts. */
  readonly topGroups?: number;
}
