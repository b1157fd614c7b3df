/** Rows of all experts together. */
function rowsOf(counts_E: Int32Array): number {
  return counts_E.reduce((rows, count) => rows + count, 0);
}

/** Largest load over the mean load, 1 … E; 0 when nothing was routed. */
export function maxExpertLoad(counts_E: Int32Array): number {
  const rows = rowsOf(counts_E);
  return rows === 0 ? 0 : (Math.max(...counts_E) * counts_E.length) / rows;
}

/** Entropy of the load over its largest value ln E: 1 is even, 0 a single expert; 0 when nothing was routed. */
export function loadEntropy(counts_E: Int32Array): number {
  const rows = rowsOf(counts_E);
  if (rows === 0 || counts_E.length === 1) return 0;
  let nats = 0;
  for (const count of counts_E) {
    if (count > 0) nats -= (count / rows) * Math.log(count / rows);
  }
  return nats / Math.log(counts_E.length);
}

/** Experts without a single row. */
export function numDeadExperts(counts_E: Int32Array): number {
  return counts_E.reduce((dead, count) => dead + (count === 0 ? 1 : 0), 0);
}
