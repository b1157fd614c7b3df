/**
 * Bytes of one of the four moves of rows (dispatch, combine, both backward) of an MoE layer without capacity: a row per choice.
 *
 * @param bytes - of one element
 */
export function droplessRowsBytes(tokens: number, topK: number, dModel: number, bytes: number): number {
  return tokens * topK * dModel * bytes;
}

/** Bytes of one all-to-all of padded capacity buffers, per rank. @see Kim et al. 2021, arXiv:2109.10465 */
export function paddedRowsBytes(experts: number, capacity: number, dModel: number, bytes: number): number {
  return experts * capacity * dModel * bytes;
}

/**
 * Share of the tokens that visit at least one of a rank's experts when choices are even: 1 - C(E-n, K) / C(E, K).
 *
 * A token travels once to a rank that holds several of its experts, so this, not K/ep, is what dispatch costs.
 */
export function visitShare(experts: number, perRank: number, topK: number): number {
  let missed = 1;
  for (let choice = 0; choice < topK; choice++)
    missed *= Math.max(0, experts - perRank - choice) / (experts - choice);
  return 1 - missed;
}
