import { hiddenInputs, type ExactSum, type Ints, type KernelCall } from '@troupe/kernel-set';
import { intsBy, intsOf } from './device-values.ts';
import { twoFloats, twoSums, type Result, type BuildLayout } from './layout-case.ts';
import { numGrains, numRows, pieces, startsOf } from './layout-shape.ts';

/** Rows of all sources in one call, and some sources in each of several. */
export const experts: BuildLayout = (device, draw, layout) => {
  const [numExperts, dim, hidden, activation] = [3, layout.width, 29, 'swiglu'] as const;
  const size = (hiddenInputs(activation) + 1) * hidden * dim;
  const weights = draw.floats(device, numExperts * size, 0.5);
  const [sum, sumSplit] = twoSums(device, numExperts * size);
  const same: [Result, Result][] = [[sum.values, sumSplit.values]];
  const sources = Array.from({ length: numGrains(layout) }, () => {
    const grains = draw.integer(1, 4);
    const counts = Array.from({ length: numExperts * grains }, () => draw.integer(0, 12));
    const counts_EG = intsOf(device, counts);
    const rows = counts.reduce((a, b) => a + b, 0);
    const [y, ySplit] = twoFloats(device, rows * dim);
    const [dx, dxSplit] = twoFloats(device, rows * dim);
    same.push([y, ySplit], [dx, dxSplit]);
    const inputs = {
      x_UD: draw.floats(device, 60 * dim),
      slots_N: intsBy(device, rows, () => draw.integer(0, 60)),
      dOut_UD: draw.floats(device, 60 * dim),
      rowWeights_N: draw.floats(device, rows),
    };
    return {
      rows,
      whole: { ...inputs, counts_EG, numGrains: grains, y_ND: y, dx_ND: dx },
      split: { ...inputs, counts_EG, numGrains: grains, y_ND: ySplit, dx_ND: dxSplit },
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
  const rowsOf = (of: typeof sources): number => of.reduce((total, { rows }) => total + rows, 0);
  return {
    whole: calls(
      sources.map(({ whole }) => whole),
      rowsOf(sources),
      sum,
    ),
    split: pieces(device, layout).flatMap((p) => {
      const some = sources.slice(p.firstGrain, p.firstGrain + p.numGrains);
      return calls(
        some.map(({ split }) => split),
        rowsOf(some),
        sumSplit,
      );
    }),
    same,
  };
};

/** Groups of tokens in one call, and in several; softmax scores, and sigmoid ones of groups of experts with a bias. */
export const gate: BuildLayout = (device, draw, layout) => {
  const [rowCount, numExperts, topK] = [numRows(layout), 12, 3];
  const scores = draw.chance() ? 'sigmoid' : 'softmax';
  const isGrouped = scores === 'sigmoid';
  const chosenBy = isGrouped
    ? { expertGroups: 4, topGroups: 2, bias_E: draw.floats(device, numExperts, 0.1) }
    : {};
  const logits = draw.floats(device, rowCount * numExperts, 3);
  const dWeights = draw.floats(device, rowCount * topK);
  const starts = startsOf(device, layout);
  const results = () => ({
    probs_TE: device.floats(rowCount * numExperts),
    choices_TK: device.ints(rowCount * topK),
    weights_TK: device.floats(rowCount * topK),
    dLogits_TE: device.floats(rowCount * numExperts),
    kept_TK: device.ints(rowCount * topK),
    numDropped: device.ints(1),
    sampled_T: device.ints(rowCount),
    jittered_TE: device.floats(rowCount * numExperts),
    lossSums: device.int64s(4),
    counts_E: device.ints(numExperts),
    probSums_E: device.int64s(2 * numExperts),
    due_E: device.int64s(numExperts),
  });
  // A sequence of one row: any row may begin a call.
  const draws = (first: number) => ({ key: [7, 9] as const, step: 3, firstSequence: first, seqLen: 1 });
  const calls = (
    first: number,
    tokens: number,
    groupStarts: Ints,
    to: ReturnType<typeof results>,
  ): KernelCall[] => {
    const [wide, narrow] = [first * numExperts, first * topK];
    const fractions = device.floats((groupStarts.length - 1) * numExperts);
    const arrays = {
      logits_TE: logits.subarray(wide),
      probs_TE: to.probs_TE.subarray(wide),
      choices_TK: to.choices_TK.subarray(narrow),
    };
    const shape = { tokens, experts: numExperts, topK, scores, ...arrays } as const;
    const combine = {
      renormalise: true,
      scale: isGrouped ? 2.5 : 1,
      weights_TK: to.weights_TK.subarray(narrow),
    };
    const { lossSums, counts_E, probSums_E } = to;
    const sum = { values: to.due_E, overflow: device.ints(1) };
    const scales = { fractionsGlobal: false, auxScale: 0.1, zScale: 0.01 };
    return [
      { op: 'gate.forward', ...shape, ...combine, ...chosenBy, choicesGiven: false },
      { op: 'bias.count', ...shape, sum },
      {
        op: 'route.select',
        ...shape,
        policy: 'random',
        factorMillionths: 500_000,
        minCapacity: 1,
        groupStarts,
        kept_TK: to.kept_TK.subarray(narrow),
        numDropped: to.numDropped,
        ...draws(first),
      },
      {
        op: 'gate.sample',
        tokens,
        experts: numExperts,
        topK: 1,
        logits_TE: logits.subarray(wide),
        choices_TK: to.sampled_T.subarray(first),
        ...draws(first),
      },
      {
        op: 'jitter',
        rows: tokens,
        dim: numExperts,
        x: logits.subarray(wide),
        out: to.jittered_TE.subarray(wide),
        width: 0.1,
        ...draws(first),
      },
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
        dWeights_TK: dWeights.subarray(narrow),
        groupStarts,
        fractions,
        ...scales,
        dLogits_TE: to.dLogits_TE.subarray(wide),
      },
    ];
  };
  const [one, many] = [results(), results()];
  return {
    whole: calls(0, rowCount, starts, one),
    split: pieces(device, layout).flatMap((p) => calls(p.first, p.rows, p.starts, many)),
    same: (Object.keys(one) as (keyof typeof one)[]).map((name) => [one[name], many[name]] as const),
  };
};
