import { median } from './median.ts';

/** How two rivals that took turns compare: the median of the ratios of their pairs, and where it lies with 95 % confidence. */
export interface PairedRatio {
  readonly median: number;
  readonly low: number;
  readonly high: number;
  /** Chance that the interval holds the true median, whatever the ratios are distributed like. */
  readonly confidence: number;
}

/** Chance of at most k heads in n throws. */
function headsAtMost(k: number, n: number): number {
  let [term, sum] = [0.5 ** n, 0];
  for (let heads = 0; heads <= k; heads++) {
    sum += term;
    term *= (n - heads) / (heads + 1);
  }
  return sum;
}

/**
 * The interval between the k-th smallest and the k-th largest ratio: the median of a distribution lies outside only if at most k - 1 of n
 * throws of a coin were heads, or tails. The largest k that keeps 95 % is taken; with fewer than six pairs there is none, and the
 * interval is from the least to the greatest, with the confidence that this has.
 *
 * @param ratios - of each pair
 */
export function pairedRatio(ratios: readonly number[]): PairedRatio {
  const sorted = [...ratios].sort((a, b) => a - b);
  const n = sorted.length;
  let k = 1;
  while (k + 1 <= n / 2 && 2 * headsAtMost(k, n) <= 0.05) k++;
  return {
    median: median(sorted),
    low: sorted[k - 1] ?? Number.NaN,
    high: sorted[n - k] ?? Number.NaN,
    confidence: 1 - 2 * headsAtMost(k - 1, n),
  };
}
