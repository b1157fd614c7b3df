/** Number of single-character insertions, deletions, replacements and swaps of neighbours between two words. */
export function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      let best = Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) best = Math.min(best, (before[j - 2] ?? 0) + 1);
      next.push(best);
    }
    before = row;
    row = next;
  }
  return row[b.length] ?? 0;
}

/** Characters of a name that somebody may have meant to type; comparing takes the product of two lengths. */
const LONGEST = 100;

/**
 * The legal name closest to what was typed, whatever the case; null when none is close enough to be meant.
 *
 * A name that the typed one starts, or that starts with it, counts as close: `expert` means `experts`.
 */
export function nearestName(typed: string, names: readonly string[]): string | null {
  if (typed.length > LONGEST) return null;
  const word = typed.toLowerCase();
  let best: string | null = null;
  let bestDistance = Infinity;
  for (const name of names) {
    const distance = editDistance(word, name.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [name, distance];
  }
  if (best === null || word === '') return null;
  const limit = Math.max(1, Math.floor(Math.max(word.length, best.length) / 3));
  if (bestDistance <= limit) return best;
  return (
    names.find((name) => name.toLowerCase().startsWith(word) || word.startsWith(name.toLowerCase())) ?? null
  );
}

/** All positive divisors of a positive integer, rising. */
export function divisors(n: number): readonly number[] {
  const low: number[] = [];
  const high: number[] = [];
  for (let d = 1; d * d <= n; d++) {
    if (n % d !== 0) continue;
    low.push(d);
    if (d * d !== n) high.unshift(n / d);
  }
  return [...low, ...high];
}

/** The candidate closest to `value`, the lower one of two; null when there is none. */
export function nearestNumber(value: number, candidates: readonly number[]): number | null {
  let best: number | null = null;
  for (const each of candidates) {
    if (best === null || Math.abs(each - value) < Math.abs(best - value)) best = each;
  }
  return best;
}

export function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

/** The multiples of `d` around `n`, in words. */
export const neighbours = (n: number, d: number): string =>
  n < d ? `${d}` : `${n - (n % d)} or ${n - (n % d) + d}`;
