import type { PositionsAddCall } from '@troupe/kernel-set';
import { KernelRangeError } from '../errors.ts';
import type { Kernel } from './kernel.ts';

export const positionsAdd: Kernel<PositionsAddCall> = {
  check({ rows, seqLen, dim, out_TD, table_SD, firstSeen_T, firstPosition = 0 }, check) {
    check.sizes({ rows, firstPosition });
    check.size('seqLen', seqLen, rows === 0 ? 0 : 1);
    check.size('dim', dim, 1);
    check.floats('out_TD', out_TD, rows * dim);
    const positions = Math.min(rows, seqLen);
    check.floats('table_SD', table_SD, positions === 0 ? 0 : (firstPosition + positions) * dim);
    if (firstSeen_T !== undefined) check.ints('firstSeen_T', firstSeen_T, rows);
  },
  run({ op, rows, seqLen, dim, out_TD, table_SD, firstSeen_T, firstPosition = 0 }) {
    for (let t = 0; t < rows; t++) {
      const [place, first] = [t % seqLen, firstSeen_T?.[t] ?? 0];
      if (first < 0 || first > place)
        throw new KernelRangeError(
          `${op}: firstSeen_T[${t}] is ${first}, expected 0 … ${place}, the row's own place`,
        );
      const from = (place - first + firstPosition) * dim;
      for (let d = 0; d < dim; d++) out_TD[t * dim + d]! += table_SD[from + d]!;
    }
  },
};
