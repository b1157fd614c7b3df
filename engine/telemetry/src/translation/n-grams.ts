/** How often each run of n parts occurs. */
export function nGrams(parts: readonly string[], n: number): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (let start = 0; start + n <= parts.length; start++) {
    // Parts hold no white space, so that a space between them is not one of theirs.
    const gram = parts.slice(start, start + n).join(' ');
    counts.set(gram, (counts.get(gram) ?? 0) + 1);
  }
  return counts;
}

/** Runs that both have, each as often as the one that has it less often. */
export function commonCount(a: ReadonlyMap<string, number>, b: ReadonlyMap<string, number>): number {
  let sum = 0;
  for (const [gram, count] of a) sum += Math.min(count, b.get(gram) ?? 0);
  return sum;
}
