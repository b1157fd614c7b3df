/**
 * Tokens that a rank with `perRank` of the experts gets when each token picks `topK` different ones at random: expected, rounded.
 */
export function visitedRows(call: {
  readonly tokens: number;
  readonly experts: number;
  readonly perRank: number;
  readonly topK: number;
}): number {
  const { tokens, experts, perRank, topK } = call;
  let missed = 1;
  for (let pick = 0; pick < topK; pick++) missed *= Math.max(0, experts - perRank - pick) / (experts - pick);
  return Math.round(tokens * (1 - missed));
}
