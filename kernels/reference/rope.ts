import type { RopeCall } from '@troupe/kernel-set';
import { rowsLayout } from './argument-check.ts';
import type { Kernel } from './kernel.ts';

/**
 * (x_i, x_{i+½}) ← (x_i·cos - x_{i+½}·sin, x_{i+½}·cos + x_i·sin) in each head; the inverse turns by the negative angle.
 *
 * @see Su et al. 2021, arXiv:2104.09864, eq. 34, in the half-split order of Hugging Face checkpoints
 */
export const rope: Kernel<RopeCall> = {
  check({ rows, seqLen, heads, headDim, x, cos_S2, sin_S2, firstPosition = 0 }, check) {
    check.sizes({ rows, heads, firstPosition });
    check.size('seqLen', seqLen, rows === 0 ? 0 : 1);
    check.size('headDim', headDim);
    if (headDim % 2 !== 0) check.fail('headDim', String(headDim), 'an even number');
    check.rows('x', x, rows, heads * headDim);
    const positions = Math.min(rows, seqLen);
    const needed = positions === 0 ? 0 : (firstPosition + positions) * (headDim / 2);
    check.floats('cos_S2', cos_S2, needed);
    check.floats('sin_S2', sin_S2, needed);
  },
  run({ rows, seqLen, heads, headDim, x, cos_S2, sin_S2, inverse, firstPosition = 0 }) {
    const { offset, stride } = rowsLayout(x, heads * headDim);
    const half = headDim / 2;
    for (let t = 0; t < rows; t++) {
      const angleAt = ((t % seqLen) + firstPosition) * half;
      for (let h = 0; h < heads; h++) {
        const at = offset + t * stride + h * headDim;
        for (let i = 0; i < half; i++) {
          const cos = cos_S2[angleAt + i]!;
          const sin = inverse ? -sin_S2[angleAt + i]! : sin_S2[angleAt + i]!;
          const a = x.data[at + i]!;
          const b = x.data[at + half + i]!;
          x.data[at + i] = a * cos - b * sin;
          x.data[at + half + i] = b * cos + a * sin;
        }
      }
    }
  },
};
