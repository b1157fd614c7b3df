import { MOST_PARTS, type PartialsAddCall } from '@troupe/kernel-set';
import type { ArgumentCheck } from './argument-check.ts';
import type { Kernel } from './kernel.ts';

/** Neighbours added in pairs, pairs of these, …; an odd last one moves up as it is. Sums are as a device stores them: `round`. */
export function addPairs(terms: readonly number[], round: (sum: number) => number): number {
  let level = terms;
  while (level.length > 1) {
    const pairs: number[] = [];
    for (let i = 0; i < level.length; i += 2)
      pairs.push(i + 1 < level.length ? round(level[i]! + level[i + 1]!) : level[i]!);
    level = pairs;
  }
  return level[0] ?? 0;
}

/** @throws {KernelShapeError} TROUPE_KERNEL_SHAPE unless there are 1 to MOST_PARTS parts */
export function checkParts(parts: readonly unknown[], check: ArgumentCheck): void {
  if (!Array.isArray(parts) || parts.length < 1 || parts.length > MOST_PARTS)
    check.fail(
      'parts',
      Array.isArray(parts) ? `${parts.length} long` : typeof parts,
      `1 to ${MOST_PARTS} of them`,
    );
}

/** out = base + tree(parts). */
export const partialsAdd: Kernel<PartialsAddCall> = {
  check({ parts, base, out }, check) {
    checkParts(parts, check);
    check.floats('out', out, 0);
    for (const [i, part] of parts.entries()) {
      check.floats(`parts[${i}]`, part, out.length);
      check.equal(`parts[${i}].length`, part.length, out.length, 'the length of out');
    }
    if (base === undefined) return;
    check.floats('base', base, out.length);
    check.equal('base.length', base.length, out.length, 'the length of out');
  },
  run({ parts, base, out }, dtype) {
    const round = dtype === 'f32' ? Math.fround : (sum: number): number => sum;
    for (let i = 0; i < out.length; i++) {
      const sum = addPairs(
        parts.map((part) => part[i]!),
        round,
      );
      out[i] = base === undefined ? sum : base[i]! + sum;
    }
  },
};
