/** Computations over parts, whole and cut up: what tensor ranks and halves of backward passes rely on. */
import { hiddenInputs, type ExactSum, type Floats, type Ints, type KernelCall } from '@troupe/kernel-set';
import { intsBy, intsOf } from './device-values.ts';
import { twoFloats, twoSums, type BuildLayout, type Result } from './layout-case.ts';
import { numGrains, numRows, pieces, startsOf } from './layout-shape.ts';

/** KER-9: subtrees added by themselves, then together. */
const partials: BuildLayout = (device, draw, { width }) => {
  const parts = Array.from({ length: 8 }, () => draw.floats(device, width));
  const base = draw.floats(device, width);
  const [out, outSplit] = twoFloats(device, width);
  const held = 2 ** draw.integer(0, 4);
  const subtrees = Array.from({ length: 8 / held }, (_, rank) => ({
    own: parts.slice(rank * held, (rank + 1) * held),
    sum: device.floats(width),
  }));
  return {
    whole: [{ op: 'partials.add', parts, base, out }],
    split: [
      ...subtrees.map(({ own, sum }): KernelCall => ({ op: 'partials.add', parts: own, out: sum })).reverse(),
      { op: 'partials.add', parts: subtrees.map(({ sum }) => sum), base, out: outSplit },
    ],
    same: [[out, outSplit]],
  };
};

/** A backward pass of experts, and its halves: those of the weights later, in another order. */
const halves: BuildLayout = (device, draw, layout) => {
  const [numExperts, dim, hidden] = [3, layout.width, 29];
  const activation = (['swiglu', 'gelu', 'gelu-tanh', 'relu'] as const)[draw.integer(0, 4)]!;
  const size = (hiddenInputs(activation) + 1) * hidden * dim;
  const weights = draw.floats(device, numExperts * size, 0.5);
  const [sum, sumSplit] = twoSums(device, numExperts * size);
  const same: [Result, Result][] = [[sum.values, sumSplit.values]];
  const sources = Array.from({ length: numGrains(layout) }, () => {
    const grains = draw.integer(1, 4);
    const most = draw.chance() ? 12 : 90;
    const counts = Array.from({ length: numExperts * grains }, () => draw.integer(0, most));
    const rows = counts.reduce((a, b) => a + b, 0);
    const [dx, dxSplit] = twoFloats(device, rows * dim);
    same.push([dx, dxSplit]);
    const inputs = {
      x_UD: draw.floats(device, 60 * dim),
      slots_N: intsBy(device, rows, () => draw.integer(0, 60)),
      dOut_UD: draw.floats(device, 60 * dim),
      rowWeights_N: draw.floats(device, rows),
      counts_EG: intsOf(device, counts),
      numGrains: grains,
    };
    return { rows, inputs, dx, dxSplit };
  });
  const shape = { experts: numExperts, dim, hidden, activation, weights, expertStride: size };
  const width = hiddenInputs(activation) * hidden;
  const groups = sources.map((source) => ({
    ...source,
    saved: draw.floats(device, source.rows * width, 2, 0.01),
    dSaved: device.floats(source.rows * width),
  }));
  return {
    whole: groups.map(({ inputs, dx, saved }) => ({
      op: 'experts.backward',
      ...shape,
      sources: [{ ...inputs, dx_ND: dx }],
      saved,
      weightSum: sum,
    })),
    split: [
      ...groups.map(({ inputs, dxSplit, saved, dSaved }): KernelCall => ({
        op: 'experts.backward.input',
        ...shape,
        sources: [{ ...inputs, dx_ND: dxSplit }],
        saved,
        dSaved,
      })),
      ...groups
        .map(({ inputs, saved, dSaved }): KernelCall => ({
          op: 'experts.backward.weight',
          ...shape,
          sources: [inputs],
          saved,
          dSaved,
          weightSum: sumSplit,
        }))
        .reverse(),
    ],
    same,
  };
};

/** Two parts of a vocabulary over all rows, and over some grains at a time. */
const headParts: BuildLayout = (device, draw, layout) => {
  const [rowCount, dim] = [numRows(layout), layout.width];
  const words = [37, 46];
  const vocab = words.reduce((a, b) => a + b, 0);
  const x_TD = draw.floats(device, rowCount * dim);
  const targets_T = intsBy(device, rowCount, () => draw.integer(-1, vocab));
  const heads = words.map((count) => draw.floats(device, count * dim));
  const smoothing = draw.chance() ? 0.1 : 0;
  const results = () => {
    const floats = (length: number) => device.floats(length);
    return {
      sums: words.map(() => ({
        max_T: floats(rowCount),
        sum_T: floats(rowCount),
        logit_T: floats(rowCount),
        logitSum_T: floats(rowCount),
      })),
      lse_T: floats(rowCount),
      loss_T: floats(rowCount),
      dx: words.map(() => floats(rowCount * dim)),
      lossSum: device.int64s(2),
      nllSum: device.int64s(2),
      headSums: words.map((count) => ({ values: device.int64s(count * dim), overflow: device.ints(1) })),
    };
  };
  const calls = (
    first: number,
    tokens: number,
    grainStarts: Ints,
    to: ReturnType<typeof results>,
  ): KernelCall[] => {
    const own = (array: Floats): Floats => array.subarray(first, first + tokens);
    const parts = words.map((count, i) => {
      const { max_T, sum_T, logit_T, logitSum_T } = to.sums[i]!;
      return {
        firstVocab: i === 0 ? 0 : words[0]!,
        vocab: count,
        max_T: own(max_T),
        sum_T: own(sum_T),
        logit_T: own(logit_T),
        logitSum_T: own(logitSum_T),
      };
    });
    const shape = (i: number) => ({
      tokens,
      dim,
      vocab: words[i]!,
      firstVocab: parts[i]!.firstVocab,
      x_TD: x_TD.subarray(first * dim),
      head_VD: heads[i]!,
      targets_T: targets_T.subarray(first, first + tokens),
      grainStarts,
    });
    return [
      ...parts.map((part, i): KernelCall => ({ op: 'head.partial', ...part, ...shape(i) })),
      {
        op: 'head.join',
        tokens,
        parts,
        targets_T: targets_T.subarray(first, first + tokens),
        grainStarts,
        lse_T: own(to.lse_T),
        loss_T: own(to.loss_T),
        lossSum: to.lossSum,
        nllSum: to.nllSum,
        smoothing,
      },
      ...parts.map((_, i): KernelCall => ({
        op: 'head.finish',
        ...shape(i),
        lse_T: own(to.lse_T),
        gradScale: 0.01,
        smoothing,
        fullVocab: vocab,
        dx_TD: to.dx[i]!.subarray(first * dim),
        headSum: to.headSums[i]!,
      })),
    ];
  };
  const [one, many] = [results(), results()];
  return {
    whole: calls(0, rowCount, startsOf(device, layout), one),
    split: pieces(device, layout).flatMap((p) => calls(p.first, p.rows, p.starts, many)),
    same: [
      [one.lse_T, many.lse_T],
      [one.loss_T, many.loss_T],
      [one.lossSum, many.lossSum],
      [one.nllSum, many.nllSum],
      ...words.map((_, i): [Result, Result] => [one.dx[i]!, many.dx[i]!]),
      ...words.map((_, i): [Result, Result] => [one.headSums[i]!.values, many.headSums[i]!.values]),
    ],
  };
};

/** A table of words, and its two parts: rows are copied, and each part has the gradient that it has in the whole. */
const embedParts: BuildLayout = (device, draw, layout) => {
  const [rowCount, dim, vocab, cut] = [numRows(layout), layout.width, 9, draw.integer(1, 9)];
  const ids_T = intsBy(device, rowCount, () => draw.integer(0, vocab));
  const table_VD = draw.floats(device, vocab * dim);
  const dOut_TD = draw.floats(device, rowCount * dim);
  const grainStarts = startsOf(device, layout);
  const [out, outSplit] = twoFloats(device, rowCount * dim);
  const [sum, sumSplit] = twoSums(device, vocab * dim);
  const parts = [
    { firstId: 0, from: 0, to: cut * dim },
    { firstId: cut, from: cut * dim, to: vocab * dim },
  ];
  return {
    whole: [
      { op: 'embed.forward', ids_T, table_VD, out_TD: out, dim },
      { op: 'embed.backward', ids_T, dOut_TD, dim, grainStarts, tableSum: sum },
    ],
    split: parts.flatMap(({ firstId, from, to }): KernelCall[] => [
      { op: 'embed.forward', ids_T, table_VD: table_VD.subarray(from, to), out_TD: outSplit, dim, firstId },
      {
        op: 'embed.backward',
        ids_T,
        dOut_TD,
        dim,
        grainStarts,
        firstId,
        tableSum: { ...sumSplit, values: sumSplit.values.subarray(from, to) },
      },
    ]),
    same: [
      [out, outSplit],
      [sum.values, sumSplit.values],
    ],
  };
};

/** A block of columns of a matrix, row by row and at once. */
const fillBlocks: BuildLayout = (device, draw, { width }) => {
  const [rows, rowStride, column] = [draw.integer(1, 21), width + draw.integer(0, 30), 7];
  const [out, outSplit] = twoFloats(device, rows * width);
  const fill = { op: 'fill', kind: 'truncated-normal', scale: 0.3, key: [5, 6] } as const;
  return {
    whole: [{ ...fill, out, firstIndex: column, rowLength: width, rowStride }],
    split: Array.from({ length: rows }, (_, row) => ({
      ...fill,
      out: outSplit.subarray(row * width, (row + 1) * width),
      firstIndex: column + row * rowStride,
    })),
    same: [[out, outSplit]],
  };
};

/** A norm that sums up its rows, and one that is given the sums of its only part, which a body that adds up in float64 rounds. */
const normParts: BuildLayout = (device, draw, layout) => {
  const [rows, dim] = [numRows(layout), layout.width];
  const x = { data: draw.floats(device, rows * dim) };
  const dOut = { data: draw.floats(device, rows * dim) };
  const weight = draw.floats(device, dim);
  const [out, outSplit] = twoFloats(device, rows * dim);
  const [stats, statsSplit] = twoFloats(device, rows);
  const [dx, dxSplit] = twoFloats(device, rows * dim);
  const [sum, sumSplit] = twoSums(device, dim);
  const [squares_T, products_T] = twoFloats(device, rows);
  const norm = { kind: 'rms', rows, groups: 1, dim, x, weight } as const;
  const backward = { ...norm, dOut, accumulate: false, grainStarts: startsOf(device, layout) };
  const byParts = (to: { out: Floats; stats: Floats; dx: Floats; sum: ExactSum }): KernelCall[] => [
    { op: 'norm.squares', rows, dim, x, out_T: squares_T },
    {
      op: 'norm.forward',
      ...norm,
      eps: 1e-5,
      out: { data: to.out },
      stats: to.stats,
      squares_T,
      fullDim: dim,
    },
    { op: 'norm.products', rows, dim, x, weight, stats: to.stats, dOut, out_T: products_T },
    {
      op: 'norm.backward',
      ...backward,
      stats: to.stats,
      dx: { data: to.dx },
      weightSum: to.sum,
      products_T,
      fullDim: dim,
    },
  ];
  return {
    whole: device.info.layoutFree
      ? [
          { op: 'norm.forward', ...norm, eps: 1e-5, out: { data: out }, stats },
          { op: 'norm.backward', ...backward, stats, dx: { data: dx }, weightSum: sum },
        ]
      : byParts({ out, stats, dx, sum }),
    split: byParts({ out: outSplit, stats: statsSplit, dx: dxSplit, sum: sumSplit }),
    same: [
      [out, outSplit],
      [stats, statsSplit],
      [dx, dxSplit],
      [sum.values, sumSplit.values],
    ],
  };
};

export const layoutPartCases: Readonly<Record<string, BuildLayout>> = {
  partials,
  'halves of experts': halves,
  'parts of a head': headParts,
  'parts of an embedding': embedParts,
  'blocks of a fill': fillBlocks,
  'parts of a norm': normParts,
};
