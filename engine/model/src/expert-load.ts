/** Rows of all experts together. */
function rowsOf(counts_E: Int32Array): number {
  return counts_E.reduce((rows, count) => rows + count, 0);
}

/** Largest load over the mean load, 1 … E; 0 when nothing was routed. */
export function maxExpertLoad(counts_E: Int32Array): number {
  const rows = rowsOf(counts_E);
  return rows === 0 ? 0 : (Math.max(...counts_E) * counts_E.length) / rows;
}
