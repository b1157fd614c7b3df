import type { CopyCall, EmbedBackwardCall, EmbedForwardCall } from '@troupe/kernel-set';
import { rangeError } from './argument-check.ts';
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

/** out_TD = table_VD[ids_T]; V is the table's length / D. */
export const embedForward: Kernel<EmbedForwardCall> = {
  check({ ids_T, table_VD, out_TD, dim }, check) {
    check.size('dim', dim, 1);
    check.ints('ids_T', ids_T, 0);
    check.floats('table_VD', table_VD, 0);
    check.floats('out_TD', out_TD, ids_T.length * dim);
  },
  run({ ids_T, table_VD, out_TD, dim }) {
    const vocab = Math.floor(table_VD.length / dim);
    for (let t = 0; t < ids_T.length; t++) {
      const id = ids_T[t]!;
      if (id < 0 || id >= vocab) rangeError('embed.forward', 'ids_T', t, id, vocab);
    }
    for (let t = 0; t < ids_T.length; t++) {
      const id = ids_T[t]!;
      for (let d = 0; d < dim; d++) out_TD[t * dim + d] = table_VD[id * dim + d]!;
    }
  },
};

/** tableSum_VD[id] gets, for each grain, the sum of dOut_TD over the grain's tokens with that id. */
export const embedBackward: Kernel<EmbedBackwardCall> = {
  check({ ids_T, dOut_TD, dim, grainStarts, tableSum }, check) {
    check.size('dim', dim, 1);
    check.ints('ids_T', ids_T, 0);
    check.floats('dOut_TD', dOut_TD, ids_T.length * dim);
    check.starts('grainStarts', grainStarts, ids_T.length);
    check.target('tableSum', tableSum, 0);
  },
  run({ ids_T, dOut_TD, dim, grainStarts, tableSum }) {
    const vocab = Math.floor(targetLength(tableSum) / dim);
    for (let t = 0; t < ids_T.length; t++) {
      const id = ids_T[t]!;
      if (id < 0 || id >= vocab) rangeError('embed.backward', 'ids_T', t, id, vocab);
    }
    intoTarget(tableSum, 0, vocab * dim, (sum) => {
      for (let g = 0; g + 1 < grainStarts.length; g++) {
        const leaves = new Map<number, Float64Array>();
        for (let t = grainStarts[g]!; t < grainStarts[g + 1]!; t++) {
          const id = ids_T[t]!;
          const leaf = leaves.get(id) ?? new Float64Array(dim);
          leaves.set(id, leaf);
          for (let d = 0; d < dim; d++) leaf[d]! += dOut_TD[t * dim + d]!;
        }
        for (const [id, leaf] of leaves) addLeaves(sum, id * dim, leaf, dim);
      }
    });
  },
};
