/** One computation written twice: as a whole and cut up. Both must leave the same bits. */
import { hiddenInputs, type Device, type ExactSum, type Floats, type KernelCall } from '@troupe/core';
import type { Draw } from './draw.ts';

type Bits = ArrayLike<number | bigint>;

export interface LayoutCase {
  readonly whole: readonly KernelCall[];
  readonly split: readonly KernelCall[];
  /** Pairs of results, of the whole and of the split. */
  readonly same: readonly (readonly [whole: Bits, split: Bits])[];
}

export type BuildLayout = (device: Device, draw: Draw) => LayoutCase;

const ROWS = 53;
const GRAINS = 5;

/** Two results to compare, and the sums that hold the gradients. */
const twoFloats = (device: Device, length: number): [Floats, Floats] => [
  device.floats(length),
  device.floats(length),
];
const twoSums = (device: Device, length: number): [ExactSum, ExactSum] => [
  emptySum(device, length),
  emptySum(device, length),
];
const emptySum = (device: Device, length: number): ExactSum => ({
  values: device.int64s(length),
  overflow: device.ints(1),
});

/** Bounds of pieces that end at grains. */
function pieces(starts: Int32Array): { first: number; rows: number; starts: Int32Array }[] {
  const cut = Math.floor(starts.length / 2);
  return [starts.subarray(0, cut + 1), starts.subarray(cut)].map((part) => {
    const first = part[0]!;
    return { first, rows: part.at(-1)! - first, starts: part.map((bound) => bound - first) };
  });
}

const linear: BuildLayout = (device, draw) => {
  const [inDim, outDim] = [37, 45];
  const x = draw.floats(device, ROWS * inDim);
  const weight = draw.floats(device, outDim * inDim);
  const dOut = draw.floats(device, ROWS * outDim);
  const starts = draw.starts(device, ROWS, GRAINS);
  const [out, outSplit] = twoFloats(device, ROWS * outDim);
  const [dx, dxSplit] = twoFloats(device, ROWS * inDim);
  const [sum, sumSplit] = twoSums(device, outDim * inDim);
  const calls = (
    first: number,
    rows: number,
    grainStarts: Int32Array,
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
    whole: calls(0, ROWS, starts, out, dx, sum),
    split: pieces(starts)
      .reverse()
      .flatMap((p) => calls(p.first, p.rows, p.starts, outSplit, dxSplit, sumSplit)),
    same: [
      [out, outSplit],
      [dx, dxSplit],
      [sum.values, sumSplit.values],
    ],
  };
};

const norm: BuildLayout = (device, draw) => {
  const [groups, dim] = [2, 37];
  const width = groups * dim;
  const x = draw.floats(device, ROWS * width);
  const weight = draw.floats(device, dim);
  const dOut = draw.floats(device, ROWS * width);
  const starts = draw.starts(device, ROWS, GRAINS);
  const [out, outSplit] = twoFloats(device, ROWS * width);
  const [dx, dxSplit] = twoFloats(device, ROWS * width);
  const [weightSum, weightSplit] = twoSums(device, dim);
  const [biasSum, biasSplit] = twoSums(device, dim);
  const calls = (
    first: number,
    rows: number,
    grainStarts: Int32Array,
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
    whole: calls(0, ROWS, starts, out, dx, { weightSum, biasSum }),
    split: pieces(starts).flatMap((p) =>
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

/** Sequences of a batch by themselves. */
const attention: BuildLayout = (device, draw) => {
  const [batch, seqLen, heads, kvHeads, headDim] = [3, 41, 4, 2, 24];
  const [queryWidth, keyWidth] = [heads * headDim, kvHeads * headDim];
  const tokens = batch * seqLen;
  const [q, dOut] = [draw.floats(device, tokens * queryWidth), draw.floats(device, tokens * queryWidth)];
  const [k, v] = [draw.floats(device, tokens * keyWidth), draw.floats(device, tokens * keyWidth)];
  const [out, outSplit] = twoFloats(device, tokens * queryWidth);
  const [dq, dqSplit] = twoFloats(device, tokens * queryWidth);
  const [dk, dkSplit] = twoFloats(device, tokens * keyWidth);
  const [dv, dvSplit] = twoFloats(device, tokens * keyWidth);
  const calls = (
    first: number,
    sequences: number,
    to: { out: Floats; dq: Floats; dk: Floats; dv: Floats },
  ): KernelCall[] => {
    const query = (data: Floats) => ({ data, offset: first * seqLen * queryWidth });
    const key = (data: Floats) => ({ data, offset: first * seqLen * keyWidth });
    const shape = {
      batch: sequences,
      seqLen,
      heads,
      kvHeads,
      headDim,
      scale: headDim ** -0.5,
      q: query(q),
      k: key(k),
      v: key(v),
      out: query(to.out),
      lse_TH: device.floats(sequences * seqLen * heads),
    };
    return [
      { op: 'attention.forward', ...shape },
      {
        op: 'attention.backward',
        ...shape,
        dOut: query(dOut),
        dq: query(to.dq),
        dk: key(to.dk),
        dv: key(to.dv),
      },
    ];
  };
  const to = { out: outSplit, dq: dqSplit, dk: dkSplit, dv: dvSplit };
  return {
    whole: calls(0, batch, { out, dq, dk, dv }),
    split: [...calls(2, 1, to), ...calls(0, 2, to)],
    same: [
      [out, outSplit],
      [dq, dqSplit],
      [dk, dkSplit],
      [dv, dvSplit],
    ],
  };
};

/** Rows of several sources in one call, and each source in its own. */
const experts: BuildLayout = (device, draw) => {
  const [numExperts, dim, hidden, activation] = [3, 37, 29, 'swiglu'] as const;
  const size = (hiddenInputs(activation) + 1) * hidden * dim;
  const weights = draw.floats(device, numExperts * size, 0.5);
  const [sum, sumSplit] = twoSums(device, numExperts * size);
  const same: [Bits, Bits][] = [[sum.values, sumSplit.values]];
  const sources = [0, 1, 2].map((s) => {
    const numGrains = s + 1;
    const counts_EG = device.ints(numExperts * numGrains).map(() => draw.integer(0, 30));
    const rows = counts_EG.reduce((a, b) => a + b, 0);
    const [y, ySplit] = twoFloats(device, rows * dim);
    const [dx, dxSplit] = twoFloats(device, rows * dim);
    same.push([y, ySplit], [dx, dxSplit]);
    const inputs = {
      x_UD: draw.floats(device, 60 * dim),
      slots_N: device.ints(rows).map(() => draw.integer(0, 60)),
      dOut_UD: draw.floats(device, 60 * dim),
      rowWeights_N: draw.floats(device, rows),
    };
    return {
      rows,
      whole: { ...inputs, counts_EG, numGrains, y_ND: y, dx_ND: dx },
      split: { ...inputs, counts_EG, numGrains, y_ND: ySplit, dx_ND: dxSplit },
    };
  });
  type Source = (typeof sources)[number]['whole'];
  const calls = (of: readonly Source[], rows: number, weightSum: ExactSum): KernelCall[] => {
    const saved = device.floats(rows * 2 * hidden);
    const group = {
      experts: numExperts,
      dim,
      hidden,
      activation,
      weights,
      expertStride: size,
      sources: of,
      saved,
    };
    return [
      { op: 'experts.forward', ...group },
      { op: 'experts.backward', ...group, weightSum },
    ];
  };
  return {
    whole: calls(
      sources.map(({ whole }) => whole),
      sources.reduce((total, { rows }) => total + rows, 0),
      sum,
    ),
    split: [...sources].reverse().flatMap(({ split, rows }) => calls([split], rows, sumSplit)),
    same,
  };
};

const head: BuildLayout = (device, draw) => {
  const [dim, vocab] = [37, 83];
  const x_TD = draw.floats(device, ROWS * dim);
  const head_VD = draw.floats(device, vocab * dim);
  const targets_T = device.ints(ROWS).map(() => draw.integer(-1, vocab));
  const starts = draw.starts(device, ROWS, GRAINS);
  const [loss, lossSplit] = twoFloats(device, ROWS);
  const [dx, dxSplit] = twoFloats(device, ROWS * dim);
  const [headSum, headSplit] = twoSums(device, vocab * dim);
  const [lossSum, lossSumSplit] = [device.int64s(1), device.int64s(1)];
  const call = (
    first: number,
    tokens: number,
    grainStarts: Int32Array,
    to: { loss: Floats; dx: Floats; headSum: ExactSum; lossSum: BigInt64Array },
  ): KernelCall => ({
    op: 'head.loss',
    tokens,
    dim,
    vocab,
    head_VD,
    grainStarts,
    gradScale: 0.01,
    lossSum: to.lossSum,
    headSum: to.headSum,
    x_TD: x_TD.subarray(first * dim),
    targets_T: targets_T.subarray(first, first + tokens),
    loss_T: to.loss.subarray(first),
    dx_TD: to.dx.subarray(first * dim),
  });
  const to = { loss: lossSplit, dx: dxSplit, headSum: headSplit, lossSum: lossSumSplit };
  return {
    whole: [call(0, ROWS, starts, { loss, dx, headSum, lossSum })],
    split: pieces(starts).map((p) => call(p.first, p.rows, p.starts, to)),
    same: [
      [loss, lossSplit],
      [dx, dxSplit],
      [headSum.values, headSplit.values],
      [lossSum, lossSumSplit],
    ],
  };
};

const embed: BuildLayout = (device, draw) => {
  const [dim, vocab] = [19, 7];
  const ids = device.ints(ROWS).map(() => draw.integer(0, vocab));
  const dOut_TD = draw.floats(device, ROWS * dim);
  const starts = draw.starts(device, ROWS, GRAINS);
  const [sum, sumSplit] = twoSums(device, vocab * dim);
  const call = (first: number, rows: number, grainStarts: Int32Array, tableSum: ExactSum): KernelCall => ({
    op: 'embed.backward',
    ids_T: ids.subarray(first, first + rows),
    dim,
    grainStarts,
    tableSum,
    dOut_TD: dOut_TD.subarray(first * dim),
  });
  return {
    whole: [call(0, ROWS, starts, sum)],
    split: pieces(starts)
      .reverse()
      .map((p) => call(p.first, p.rows, p.starts, sumSplit)),
    same: [[sum.values, sumSplit.values]],
  };
};

/** Groups of tokens in one call, and in two. */
const gate: BuildLayout = (device, draw) => {
  const [numExperts, topK] = [11, 3];
  const logits = draw.floats(device, ROWS * numExperts, 3);
  const dWeights = draw.floats(device, ROWS * topK);
  const starts = draw.starts(device, ROWS, GRAINS);
  const results = () => ({
    probs_TE: device.floats(ROWS * numExperts),
    choices_TK: device.ints(ROWS * topK),
    weights_TK: device.floats(ROWS * topK),
    dLogits_TE: device.floats(ROWS * numExperts),
    lossSums: device.int64s(2),
    counts_E: device.ints(numExperts),
    probSums_E: device.int64s(numExperts),
  });
  const calls = (
    first: number,
    tokens: number,
    groupStarts: Int32Array,
    to: ReturnType<typeof results>,
  ): KernelCall[] => {
    const wide = <A extends { subarray(begin: number): A }>(array: A): A =>
      array.subarray(first * numExperts);
    const narrow = <A extends { subarray(begin: number): A }>(array: A): A => array.subarray(first * topK);
    const fractions = device.floats((groupStarts.length - 1) * numExperts);
    const scores = {
      logits_TE: wide(logits),
      probs_TE: wide(to.probs_TE),
      choices_TK: narrow(to.choices_TK),
    };
    const shape = { tokens, experts: numExperts, topK, ...scores };
    const combine = { renormalise: true, weights_TK: narrow(to.weights_TK) };
    const { lossSums, counts_E, probSums_E } = to;
    const scales = { fractionsGlobal: false, auxScale: 0.1, zScale: 0.01 };
    return [
      { op: 'gate.forward', ...shape, ...combine, choicesGiven: false },
      {
        op: 'balance.forward',
        ...shape,
        groupStarts,
        fractions_BE: fractions,
        lossSums,
        counts_E,
        probSums_E,
      },
      {
        op: 'gate.backward',
        ...shape,
        ...combine,
        dWeights_TK: narrow(dWeights),
        groupStarts,
        fractions,
        ...scales,
        dLogits_TE: wide(to.dLogits_TE),
      },
    ];
  };
  const [one, many] = [results(), results()];
  return {
    whole: calls(0, ROWS, starts, one),
    split: pieces(starts)
      .reverse()
      .flatMap((p) => calls(p.first, p.rows, p.starts, many)),
    same: (Object.keys(one) as (keyof typeof one)[]).map((name) => [one[name], many[name]] as const),
  };
};

/** Exact sums do not know the order of their terms. */
const sums: BuildLayout = (device, draw) => {
  const [sum, sumSplit] = twoSums(device, 200);
  const terms = Array.from({ length: 7 }, () => draw.sum(device, 200).values);
  const add =
    (to: ExactSum) =>
    (other: BigInt64Array): KernelCall => ({ op: 'sum.add', sum: to, other, otherOverflow: 0 });
  return {
    whole: terms.map(add(sum)),
    split: draw.shuffle([...terms]).map(add(sumSplit)),
    same: [[sum.values, sumSplit.values]],
  };
};

/** A slice of a parameter filled by itself. */
const fill: BuildLayout = (device) => {
  const [out, outSplit] = twoFloats(device, 301);
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
    split: [call(outSplit.subarray(90), 101), call(outSplit.subarray(0, 90), 11)],
    same: [[out, outSplit]],
  };
};

export const layoutCases: Readonly<Record<string, BuildLayout>> = {
  linear,
  norm,
  attention,
  experts,
  head,
  embed,
  gate,
  sums,
  fill,
};
