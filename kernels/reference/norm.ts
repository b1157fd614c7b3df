import type {
  NormBackwardCall,
  NormForwardCall,
  NormProductsCall,
  NormSquaresCall,
  OnHost,
} from '@troupe/kernel-set';
import type { ExactSum, Floats } from '../on-host.ts';
import { rowsLayout, type ArgumentCheck } from './argument-check.ts';
import { store } from './bf16.ts';
import { addLeaves } from './exact-sum.ts';
import { intoTarget } from './gradient-target.ts';
import type { Kernel } from './kernel.ts';

function checkNorm(call: OnHost<NormForwardCall> | OnHost<NormBackwardCall>, check: ArgumentCheck): number {
  const { kind, rows, groups, dim } = call;
  check.oneOf('kind', kind, ['rms', 'layer']);
  check.size('rows', rows);
  check.size('groups', groups, 1);
  check.size('dim', dim, 1);
  check.rows('x', call.x, rows, groups * dim);
  check.floats('weight', call.weight, dim);
  check.floats('stats', call.stats, rows * groups * (kind === 'layer' ? 2 : 1));
  return groups * dim;
}

/** Sums over parts of rows, with the length of the whole rows. */
function checkWhole(
  name: string,
  sums: Floats | undefined,
  { kind, rows, groups, dim, fullDim }: OnHost<NormForwardCall> | OnHost<NormBackwardCall>,
  check: ArgumentCheck,
): void {
  if (sums === undefined && fullDim === undefined) return;
  check.floats(name, sums, rows);
  check.size('fullDim', fullDim ?? Number.NaN, dim);
  if (kind !== 'rms' || groups !== 1)
    check.fail(name, `given for ${kind}, ${groups} groups`, 'rms, one group');
}

/** Σ (x - mean)² of `dim` elements. */
function squaresOf(x: Floats, at: number, dim: number, mean: number): number {
  let sum = 0;
  for (let d = 0; d < dim; d++) {
    const centred = x[at + d]! - mean;
    sum += centred * centred;
  }
  return sum;
}

/**
 * rms: out = x / √(mean(x²) + eps) · weight; layer: out = (x - mean) / √(var + eps) · weight + bias, var biased.
 *
 * @see Zhang and Sennrich 2019, arXiv:1910.07467, eq. 4; Ba et al. 2016, arXiv:1607.06450, eq. 3–4
 */
export const normForward: Kernel<NormForwardCall> = {
  check(call, check) {
    const rowLength = checkNorm(call, check);
    check.number('eps', call.eps);
    checkWhole('squares_T', call.squares_T, call, check);
    check.floatsOrHalves('out.data', call.out?.data, check.rowsEnd('out', call.out, call.rows, rowLength));
    if (call.bias !== undefined) check.floats('bias', call.bias, call.dim);
  },
  run({ kind, rows, groups, dim, eps, x, weight, bias, out, stats, squares_T, fullDim = dim }) {
    const from = rowsLayout(x, groups * dim);
    const to = rowsLayout(out, groups * dim);
    for (let i = 0; i < rows * groups; i++) {
      const row = Math.floor(i / groups);
      const group = i % groups;
      const xAt = from.offset + row * from.stride + group * dim;
      const outAt = to.offset + row * to.stride + group * dim;
      let mean = 0;
      if (kind === 'layer') {
        for (let d = 0; d < dim; d++) mean += x.data[xAt + d]!;
        mean /= dim;
      }
      const square = squares_T?.[i] ?? squaresOf(x.data, xAt, dim, mean);
      const inverse = 1 / Math.sqrt(square / fullDim + eps);
      stats[i] = inverse;
      if (kind === 'layer') stats[rows * groups + i] = mean;
      for (let d = 0; d < dim; d++) {
        const scaled = (x.data[xAt + d]! - mean) * inverse * weight[d]!;
        store(out.data, outAt + d, bias === undefined ? scaled : scaled + bias[d]!);
      }
    }
  },
};

/**
 * With x̂ the normalised input and ĝ = dOut · weight:
 * dx = (ĝ - x̂·mean(ĝ·x̂)) / √…, for layer also minus mean(ĝ); dWeight = Σ dOut·x̂; dBias = Σ dOut.
 */
export const normBackward: Kernel<NormBackwardCall> = {
  check(call, check) {
    const rowLength = checkNorm(call, check);
    checkWhole('products_T', call.products_T, call, check);
    check.rows('dOut', call.dOut, call.rows, rowLength);
    check.rows('dx', call.dx, call.rows, rowLength);
    check.starts('grainStarts', call.grainStarts, call.rows);
    check.target('weightSum', call.weightSum, call.dim);
    if (call.biasSum !== undefined) check.target('biasSum', call.biasSum, call.dim);
  },
  run(call) {
    const { dim, weightSum, biasSum } = call;
    intoTarget(weightSum, 0, dim, (weightLeaves) => {
      if (biasSum === undefined) addGrains(call, weightLeaves, null);
      else intoTarget(biasSum, 0, dim, (biasLeaves) => addGrains(call, weightLeaves, biasLeaves));
    });
  },
};

/**
 * A function of its own rather than a closure: V8 does not optimise loops in a closure that is recreated on every call.
 */
function addGrains(
  call: OnHost<NormBackwardCall>,
  weightLeaves: ExactSum,
  biasLeaves: ExactSum | null,
): void {
  const { kind, rows, groups, dim, x, weight, stats, dOut, dx, accumulate, grainStarts } = call;
  const { products_T, fullDim = dim } = call;
  const input = rowsLayout(x, groups * dim);
  const gradient = rowsLayout(dOut, groups * dim);
  const result = rowsLayout(dx, groups * dim);
  const weightLeaf = new Float64Array(dim);
  const biasLeaf = new Float64Array(dim);
  for (let grain = 0; grain + 1 < grainStarts.length; grain++) {
    weightLeaf.fill(0);
    biasLeaf.fill(0);
    for (let i = grainStarts[grain]! * groups; i < grainStarts[grain + 1]! * groups; i++) {
      const row = Math.floor(i / groups);
      const group = i % groups;
      const xAt = input.offset + row * input.stride + group * dim;
      const dOutAt = gradient.offset + row * gradient.stride + group * dim;
      const dxAt = result.offset + row * result.stride + group * dim;
      const inverse = stats[i]!;
      const mean = kind === 'layer' ? stats[rows * groups + i]! : 0;
      let gradientMean = 0;
      let projection = 0;
      for (let d = 0; d < dim; d++) {
        const normal = (x.data[xAt + d]! - mean) * inverse;
        const upstream = dOut.data[dOutAt + d]!;
        weightLeaf[d]! += upstream * normal;
        biasLeaf[d]! += upstream;
        gradientMean += upstream * weight[d]!;
        projection += upstream * weight[d]! * normal;
      }
      gradientMean = kind === 'layer' ? gradientMean / dim : 0;
      projection = (products_T?.[i] ?? projection) / fullDim;
      for (let d = 0; d < dim; d++) {
        const normal = (x.data[xAt + d]! - mean) * inverse;
        const value = inverse * (dOut.data[dOutAt + d]! * weight[d]! - gradientMean - normal * projection);
        dx.data[dxAt + d] = accumulate ? dx.data[dxAt + d]! + value : value;
      }
    }
    addLeaves(weightLeaves, 0, weightLeaf, dim);
    if (biasLeaves !== null) addLeaves(biasLeaves, 0, biasLeaf, dim);
  }
}

/** Σ x² of each row. */
export const normSquares: Kernel<NormSquaresCall> = {
  check({ rows, dim, x, out_T }, check) {
    check.size('rows', rows);
    check.size('dim', dim, 1);
    check.rows('x', x, rows, dim);
    check.floats('out_T', out_T, rows);
  },
  run({ rows, dim, x, out_T }) {
    const { offset, stride } = rowsLayout(x, dim);
    for (let row = 0; row < rows; row++) {
      out_T[row] = squaresOf(x.data, offset + row * stride, dim, 0);
    }
  },
};

/** Σ dOut·weight·x̂ of each row. */
export const normProducts: Kernel<NormProductsCall> = {
  check({ rows, dim, x, weight, stats, dOut, out_T }, check) {
    check.size('rows', rows);
    check.size('dim', dim, 1);
    check.rows('x', x, rows, dim);
    check.floats('weight', weight, dim);
    check.floats('stats', stats, rows);
    check.rows('dOut', dOut, rows, dim);
    check.floats('out_T', out_T, rows);
  },
  run({ rows, dim, x, weight, stats, dOut, out_T }) {
    const [input, gradient] = [rowsLayout(x, dim), rowsLayout(dOut, dim)];
    for (let row = 0; row < rows; row++) {
      let sum = 0;
      for (let d = 0; d < dim; d++) {
        const normal = x.data[input.offset + row * input.stride + d]! * stats[row]!;
        sum += dOut.data[gradient.offset + row * gradient.stride + d]! * weight[d]! * normal;
      }
      out_T[row] = sum;
    }
  },
};
