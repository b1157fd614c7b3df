import type {
  CombineBackwardWeightsCall,
  CombineCall,
  GatherCall,
  GatherScalarsCall,
} from '@troupe/kernel-set';
import type { RowsPart } from '../on-host.ts';
import { KernelRangeError } from '../errors.ts';
import { rangeError } from './argument-check.ts';
import type { Kernel } from './kernel.ts';

/** out[i] = x[index[i]]. */
export const gather: Kernel<GatherCall> = {
  check({ rows, dim, x, index, out }, check) {
    check.sizes({ rows });
    check.size('dim', dim, 1);
    check.floats('x', x, 0);
    check.ints('index', index, rows);
    check.floats('out', out, rows * dim);
  },
  run({ rows, dim, x, index, out }) {
    const bound = Math.floor(x.length / dim);
    for (let i = 0; i < rows; i++) {
      const from = index[i]!;
      if (from < 0 || from >= bound) rangeError('gather', 'index', i, from, bound);
      for (let d = 0; d < dim; d++) out[i * dim + d] = x[from * dim + d]!;
    }
  },
};

export const gatherScalars: Kernel<GatherScalarsCall> = {
  check({ count, values, index, out }, check) {
    check.sizes({ count });
    check.floats('values', values, 0);
    check.ints('index', index, count);
    check.floats('out', out, count);
  },
  run({ count, values, index, out }) {
    for (let i = 0; i < count; i++) {
      const from = index[i]!;
      if (from < 0 || from >= values.length) rangeError('gather.scalars', 'index', i, from, values.length);
      out[i] = values[from]!;
    }
  },
};

/** The part that holds sorted row `position`. */
function partOf(op: string, parts: readonly RowsPart[], position: number): RowsPart {
  for (const part of parts) {
    if (position >= part.firstRow && position < part.firstRow + part.rows) return part;
  }
  throw new KernelRangeError(`${op}: no part holds row ${position}`, { op, position });
}

/** out_TD[t] = base_TD[t] + Σ_k w_tk·row(position_TK[t,k]), in choice order. */
export const combine: Kernel<CombineCall> = {
  check({ tokens, topK, dim, parts, position_TK, weights_TK, base_TD, out_TD }, check) {
    check.sizes({ tokens, topK });
    check.size('dim', dim, 1);
    check.parts(parts, dim);
    check.ints('position_TK', position_TK, tokens * topK);
    if (weights_TK !== undefined) check.floats('weights_TK', weights_TK, tokens * topK);
    if (base_TD !== undefined) check.floats('base_TD', base_TD, tokens * dim);
    check.floats('out_TD', out_TD, tokens * dim);
  },
  run({ tokens, topK, dim, parts, position_TK, weights_TK, base_TD, out_TD }) {
    const chain = new Float64Array(dim);
    for (let t = 0; t < tokens; t++) {
      for (let d = 0; d < dim; d++) chain[d] = base_TD === undefined ? 0 : base_TD[t * dim + d]!;
      for (let k = 0; k < topK; k++) {
        const position = position_TK[t * topK + k]!;
        if (position === -1) continue;
        const part = partOf('combine', parts, position);
        const at = (position - part.firstRow) * dim;
        const weight = weights_TK === undefined ? 1 : weights_TK[t * topK + k]!;
        for (let d = 0; d < dim; d++) chain[d]! += weight * part.data[at + d]!;
      }
      for (let d = 0; d < dim; d++) out_TD[t * dim + d] = chain[d]!;
    }
  },
};

/** dWeights_TK[t,k] = ⟨dOut_TD[t], row(position_TK[t,k])⟩. */
export const combineBackwardWeights: Kernel<CombineBackwardWeightsCall> = {
  check({ tokens, topK, dim, parts, position_TK, dOut_TD, dWeights_TK }, check) {
    check.sizes({ tokens, topK });
    check.size('dim', dim, 1);
    check.parts(parts, dim);
    check.ints('position_TK', position_TK, tokens * topK);
    check.floats('dOut_TD', dOut_TD, tokens * dim);
    check.floats('dWeights_TK', dWeights_TK, tokens * topK);
  },
  run({ tokens, topK, dim, parts, position_TK, dOut_TD, dWeights_TK }) {
    for (let i = 0; i < tokens * topK; i++) {
      const position = position_TK[i]!;
      let sum = 0;
      if (position !== -1) {
        const part = partOf('combine.backward.weights', parts, position);
        const at = (position - part.firstRow) * dim;
        const dOutAt = Math.floor(i / topK) * dim;
        for (let d = 0; d < dim; d++) sum += dOut_TD[dOutAt + d]! * part.data[at + d]!;
      }
      dWeights_TK[i] = sum;
    }
  },
};
