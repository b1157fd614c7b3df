import type { CopyCall, EmbedBackwardCall, EmbedForwardCall, OnHost, RoundCall } from '@troupe/kernel-set';
import { rangeError } from './argument-check.ts';
import { roundBf16, store, widened } from './bf16.ts';
import { addLeaves } from './exact-sum.ts';
import { intoTarget } from './gradient-target.ts';
import { targetLength } from './target-kind.ts';
import type { Kernel } from './kernel.ts';

export const copy: Kernel<CopyCall> = {
  check({ from, out }, check) {
    check.floats('from', from, 0);
    check.floats('out', out, 0);
    check.equal('out.length', out.length, from.length, 'the length of from');
  },
  run({ from, out }) {
    out.set(from);
  },
};

/** out = x, rounded to bf16, in either storage. */
export const round: Kernel<RoundCall> = {
  check({ x, out }, check) {
    check.floatsOrHalves('x', x, 0);
    check.floatsOrHalves('out', out, 0);
    check.equal('out.length', out.length, x.length, 'the length of x');
  },
  run({ x, out }) {
    const from = widened(x);
    for (let i = 0; i < from.length; i++) store(out, i, roundBf16(from[i]!));
  },
};

/** Rows of a table of `vocab` words: -1 for an id that lies outside a part of the vocabulary. */
function rowsOfIds(call: OnHost<EmbedForwardCall> | OnHost<EmbedBackwardCall>, vocab: number): Int32Array {
  const { op, ids_T, firstId } = call;
  return ids_T.map((id, t) => {
    const row = id - (firstId ?? 0);
    const isOutside = row < 0 || row >= vocab;
    if (id < 0 || (isOutside && firstId === undefined)) rangeError(op, 'ids_T', t, id, vocab);
    return isOutside ? -1 : row;
  });
}

/** out_TD = table_VD[ids_T]; V is the table's length / D. */
export const embedForward: Kernel<EmbedForwardCall> = {
  check({ ids_T, table_VD, out_TD, dim, firstId }, check) {
    check.size('dim', dim, 1);
    check.size('firstId', firstId ?? 0);
    check.ints('ids_T', ids_T, 0);
    check.floats('table_VD', table_VD, 0);
    check.floats('out_TD', out_TD, ids_T.length * dim);
  },
  run(call) {
    const { table_VD, out_TD, dim } = call;
    const rows = rowsOfIds(call, Math.floor(table_VD.length / dim));
    for (let t = 0; t < rows.length; t++) {
      const row = rows[t]!;
      if (row < 0) continue;
      for (let d = 0; d < dim; d++) out_TD[t * dim + d] = table_VD[row * dim + d]!;
    }
  },
};

/** tableSum_VD[id] gets, for each grain, the sum of dOut_TD over the grain's tokens with that id. */
export const embedBackward: Kernel<EmbedBackwardCall> = {
  check({ ids_T, dOut_TD, dim, grainStarts, tableSum, firstId }, check) {
    check.size('dim', dim, 1);
    check.size('firstId', firstId ?? 0);
    check.ints('ids_T', ids_T, 0);
    check.floats('dOut_TD', dOut_TD, ids_T.length * dim);
    check.starts('grainStarts', grainStarts, ids_T.length);
    check.target('tableSum', tableSum, 0);
  },
  run(call) {
    const { dOut_TD, dim, grainStarts, tableSum } = call;
    const vocab = Math.floor(targetLength(tableSum) / dim);
    const rows = rowsOfIds(call, vocab);
    intoTarget(tableSum, 0, vocab * dim, (sum) => {
      for (let g = 0; g + 1 < grainStarts.length; g++) {
        const leaves = new Map<number, Float64Array>();
        for (let t = grainStarts[g]!; t < grainStarts[g + 1]!; t++) {
          const row = rows[t]!;
          if (row < 0) continue;
          const leaf = leaves.get(row) ?? new Float64Array(dim);
          leaves.set(row, leaf);
          for (let d = 0; d < dim; d++) leaf[d]! += dOut_TD[t * dim + d]!;
        }
        for (const [row, leaf] of leaves) addLeaves(sum, row * dim, leaf, dim);
      }
    });
  },
};
