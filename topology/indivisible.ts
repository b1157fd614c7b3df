import type { Finding } from './finding.ts';

interface Division {
  /** The number that is to be divided, and its name. */
  readonly of: readonly [string, number];
  readonly by: readonly [string, number];
  readonly keys: readonly [string, ...string[]];
  readonly nearest: number | null;
  readonly hint?: string;
}

/** `[]` when the division leaves nothing, else the problem that names both numbers. */
export function indivisible({ of: [what, n], by: [by, d], keys, nearest, hint }: Division): Finding[] {
  if (n % d === 0) return [];
  const rule = `${what} ${n} is not divisible by ${by} ${d}${hint === undefined ? '' : `; ${hint}`}`;
  return [{ code: 'TROUPE_TOPOLOGY_INDIVISIBLE', keys, rule, nearest }];
}
