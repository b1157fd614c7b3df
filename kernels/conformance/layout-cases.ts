import type { ExactSum, Floats, Int64s, Ints, KernelCall } from '@troupe/kernel-set';
import { intsBy } from './device-values.ts';
import { twoFloats, twoSums, type BuildLayout } from './layout-case.ts';
import { layoutAttentionCases } from './layout-attention-cases.ts';
import { choice } from './layout-choice-cases.ts';
import { experts, gate } from './layout-moe-cases.ts';
import { layoutPartCases } from './layout-part-cases.ts';
import { numRows, pieces, rowPieces, startsOf } from './layout-shape.ts';

const linear: BuildLayout = (device, draw, layout) => {
  const [rowCount, inDim, outDim] = [numRows(layout), layout.width, 45];
  const x = draw.floats(device, rowCount * inDim);
  const weight = draw.floats(device, outDim * inDim);
  const dOut = draw.floats(device, rowCount * outDim);
  const starts = startsOf(device, layout);
  const [out, outSplit] = twoFloats(device, rowCount * outDim);
  const [dx, dxSplit] = twoFloats(device, rowCount * inDim);
  const [sum, sumSplit] = twoSums(device, outDim * inDim);
  const calls = (
    first: number,
    rows: number,
    grainStarts: Ints,
    to: Floats,
    dTo: Floats,
    weightSum: ExactSum,
  ): KernelCall[] => {
    const shape = { rows, inDim, outDim };
    const xRows = { data: x, offset: first * inDim };
    const dOutRows = { data: dOut, offset: first * outDim };
    return [
      { op: 'linear.forward', ...shape, x: xRows, weight, out: { data: to, offset: first * outDim } },
      {
        op: 'linear.backward.input',
        ...shape,
        dOut: dOutRows,
        weight,
        dx: { data: dTo, offset: first * inDim },
      },
      { op: 'linear.backward.weight', ...shape, dOut: dOutRows, x: xRows, grainStarts, weightSum },
    ];
  };
  return {
    whole: calls(0, rowCount, starts, out, dx, sum),
    split: pieces(device, layout).flatMap((p) =>
      calls(p.first, p.rows, p.starts, outSplit, dxSplit, sumSplit),
    ),
    same: [
      [out, outSplit],
      [dx, dxSplit],
      [sum.values, sumSplit.values],
    ],
  };
};

/** What knows no grains may be cut between any rows. */
const rows: BuildLayout = (device, draw, layout) => {
  const [rowCount, inDim, outDim] = [numRows(layout), layout.width, 29];
  const x = draw.floats(device, rowCount * inDim);
  const dOut = draw.floats(device, rowCount * outDim);
  const weight = draw.floats(device, outDim * inDim);
  const normWeight = draw.floats(device, inDim);
  const [out, outSplit] = twoFloats(device, rowCount * outDim);
  const [dx, dxSplit] = twoFloats(device, rowCount * inDim);
  const [normed, normedSplit] = twoFloats(device, rowCount * inDim);
  const [stats, statsSplit] = twoFloats(device, rowCount);
  const calls = (
    { first, rows }: { readonly first: number; readonly rows: number },
    to: { out: Floats; dx: Floats; normed: Floats; stats: Floats },
  ): KernelCall[] => {
    const wide = (data: Floats) => ({ data, offset: first * inDim });
    const narrow = (data: Floats) => ({ data, offset: first * outDim });
    const shape = { rows, inDim, outDim };
    return [
      { op: 'linear.forward', ...shape, x: wide(x), weight, out: narrow(to.out) },
      { op: 'linear.backward.input', ...shape, dOut: narrow(dOut), weight, dx: wide(to.dx) },
      {
        op: 'norm.forward',
        kind: 'rms',
        rows,
        groups: 1,
        dim: inDim,
        eps: 1e-5,
        x: wide(x),
        weight: normWeight,
        out: wide(to.normed),
        stats: to.stats.subarray(first),
      },
    ];
  };
  const to = { out: outSplit, dx: dxSplit, normed: normedSplit, stats: statsSplit };
  return {
    whole: calls({ first: 0, rows: rowCount }, { out, dx, normed, stats }),
    split: rowPieces(layout).flatMap((piece) => calls(piece, to)),
    same: [
      [out, outSplit],
      [dx, dxSplit],
      [normed, normedSplit],
      [stats, statsSplit],
    ],
  };
};

const norm: BuildLayout = (device, draw, layout) => {
  const rowCount = numRows(layout);
  const [groups, dim] = [2, layout.width];
  const width = groups * dim;
  const x = draw.floats(device, rowCount * width);
  const weight = draw.floats(device, dim);
  const dOut = draw.floats(device, rowCount * width);
  const starts = startsOf(device, layout);
  const [out, outSplit] = twoFloats(device, rowCount * width);
  const [dx, dxSplit] = twoFloats(device, rowCount * width);
  const [weightSum, weightSplit] = twoSums(device, dim);
  const [biasSum, biasSplit] = twoSums(device, dim);
  const calls = (
    first: number,
    rows: number,
    grainStarts: Ints,
    to: Floats,
    dTo: Floats,
    sums: { weightSum: ExactSum; biasSum: ExactSum },
  ) => {
    const at = (data: Floats) => ({ data, offset: first * width });
    const shape = {
      kind: 'layer',
      rows,
      groups,
      dim,
      x: at(x),
      weight,
      stats: device.floats(2 * rows * groups),
    } as const;
    return [
      { op: 'norm.forward', ...shape, eps: 1e-5, out: at(to) },
      { op: 'norm.backward', ...shape, dOut: at(dOut), dx: at(dTo), accumulate: false, grainStarts, ...sums },
    ] as const;
  };
  return {
    whole: calls(0, rowCount, starts, out, dx, { weightSum, biasSum }),
    split: pieces(device, layout).flatMap((p) =>
      calls(p.first, p.rows, p.starts, outSplit, dxSplit, { weightSum: weightSplit, biasSum: biasSplit }),
    ),
    same: [
      [out, outSplit],
      [dx, dxSplit],
      [weightSum.values, weightSplit.values],
      [biasSum.values, biasSplit.values],
    ],
  };
};

const head: BuildLayout = (device, draw, layout) => {
  const [rowCount, dim, vocab] = [numRows(layout), layout.width, 83];
  const x_TD = draw.floats(device, rowCount * dim);
  const head_VD = draw.floats(device, vocab * dim);
  const targets_T = intsBy(device, rowCount, () => draw.integer(-1, vocab));
  const starts = startsOf(device, layout);
  const [loss, lossSplit] = twoFloats(device, rowCount);
  const [dx, dxSplit] = twoFloats(device, rowCount * dim);
  const [headSum, headSplit] = twoSums(device, vocab * dim);
  const [lossSum, lossSumSplit] = [device.int64s(2), device.int64s(2)];
  const [nllSum, nllSumSplit] = [device.int64s(2), device.int64s(2)];
  const smoothing = draw.chance() ? 0.1 : 0;
  const call = (
    first: number,
    tokens: number,
    grainStarts: Ints,
    to: { loss: Floats; dx: Floats; headSum: ExactSum; lossSum: Int64s; nllSum: Int64s },
  ): KernelCall => ({
    op: 'head.loss',
    tokens,
    dim,
    vocab,
    head_VD,
    grainStarts,
    gradScale: 0.01,
    lossSum: to.lossSum,
    nllSum: to.nllSum,
    smoothing,
    headSum: to.headSum,
    x_TD: x_TD.subarray(first * dim),
    targets_T: targets_T.subarray(first, first + tokens),
    loss_T: to.loss.subarray(first),
    dx_TD: to.dx.subarray(first * dim),
  });
  const to = { loss: lossSplit, dx: dxSplit, headSum: headSplit, lossSum: lossSumSplit, nllSum: nllSumSplit };
  return {
    whole: [call(0, rowCount, starts, { loss, dx, headSum, lossSum, nllSum })],
    split: pieces(device, layout).map((p) => call(p.first, p.rows, p.starts, to)),
    same: [
      [loss, lossSplit],
      [dx, dxSplit],
      [headSum.values, headSplit.values],
      [lossSum, lossSumSplit],
      [nllSum, nllSumSplit],
    ],
  };
};

const embed: BuildLayout = (device, draw, layout) => {
  const [rowCount, dim, vocab] = [numRows(layout), layout.width, 7];
  const ids = intsBy(device, rowCount, () => draw.integer(0, vocab));
  const dOut_TD = draw.floats(device, rowCount * dim);
  const starts = startsOf(device, layout);
  const [sum, sumSplit] = twoSums(device, vocab * dim);
  const call = (first: number, rows: number, grainStarts: Ints, tableSum: ExactSum): KernelCall => ({
    op: 'embed.backward',
    ids_T: ids.subarray(first, first + rows),
    dim,
    grainStarts,
    tableSum,
    dOut_TD: dOut_TD.subarray(first * dim),
  });
  return {
    whole: [call(0, rowCount, starts, sum)],
    split: pieces(device, layout).map((p) => call(p.first, p.rows, p.starts, sumSplit)),
    same: [[sum.values, sumSplit.values]],
  };
};

/** Exact sums do not know the order of their terms. */
const sums: BuildLayout = (device, draw) => {
  const [sum, sumSplit] = twoSums(device, 200);
  const terms = Array.from({ length: 7 }, () => draw.sum(device, 200).values);
  const add =
    (to: ExactSum) =>
    (other: Int64s): KernelCall => ({ op: 'sum.add', sum: to, other, otherOverflow: 0 });
  return {
    whole: terms.map(add(sum)),
    split: draw.shuffle([...terms]).map(add(sumSplit)),
    same: [[sum.values, sumSplit.values]],
  };
};

/** Slices of a parameter filled by themselves. */
const fill: BuildLayout = (device, _draw, layout) => {
  const length = numRows(layout) * layout.width;
  const [out, outSplit] = twoFloats(device, length);
  const call = (to: Floats, firstIndex: number): KernelCall => ({
    op: 'fill',
    out: to,
    kind: 'truncated-normal',
    scale: 0.3,
    key: [5, 6],
    firstIndex,
  });
  return {
    whole: [call(out, 11)],
    split: rowPieces(layout).map(({ first, rows }) => {
      const begin = first * layout.width;
      return call(outSplit.subarray(begin, begin + rows * layout.width), 11 + begin);
    }),
    same: [[out, outSplit]],
  };
};

export const layoutCases: Readonly<Record<string, BuildLayout>> = {
  linear,
  rows,
  norm,
  ...layoutAttentionCases,
  experts,
  head,
  embed,
  gate,
  choice,
  sums,
  fill,
  ...layoutPartCases,
};
