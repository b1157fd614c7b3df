/** Every backward pass of the oracle against central differences of its forward pass. */
import {
  hiddenInputs,
  onHost,
  activations,
  type ExactSum,
  type Floats,
  type Ints,
  type KernelCall,
  type RelativeBias,
} from '@troupe/kernel-set';
import test, { type ExecutionContext } from 'ava';
import { floatsOf } from '../conformance/device-values.ts';
import { Draw } from '../conformance/draw.ts';
import { openReferenceDevice } from './reference-device.ts';

const device = openReferenceDevice({ dtype: 'f64' });
const STEP = 1e-5;
/** Differences of a smooth function at STEP: about STEP² of truncation and 1e-16 / STEP of rounding. */
const TOLERANCE = 2e-8;

function run(calls: readonly KernelCall[]): void {
  const { error } = device.run(calls);
  if (error !== null) throw error;
}

const emptySum = (length: number): ExactSum => ({ values: device.int64s(length), overflow: device.ints(1) });

function read(sum: ExactSum): Floats {
  const out = device.floats(sum.values.length);
  run([{ op: 'sum.read', sum: sum.values, out }]);
  return out;
}

const ints = (...values: readonly number[]): Ints => device.upload(Int32Array.from(values));

const meeting = (a: Floats, b: Floats): number =>
  Array.from(onHost(a)).reduce((sum, value, i) => sum + value * onHost(b)[i]!, 0);

/** Compares d loss / d input with differences, element by element. */
function agree(t: ExecutionContext, name: string, loss: () => number, of: Floats, by: Floats): void {
  const [input, gradient] = [onHost(of), onHost(by)];
  let largest = 0;
  for (let i = 0; i < input.length; i++) {
    const before = input[i]!;
    input[i] = before + STEP;
    const above = loss();
    input[i] = before - STEP;
    const below = loss();
    input[i] = before;
    largest = Math.max(largest, Math.abs((above - below) / (2 * STEP) - gradient[i]!));
  }
  t.log(`${name}: ${input.length} elements, largest difference ${largest.toExponential(1)}`);
  t.true(largest < TOLERANCE, `${name}: ${largest}`);
}

for (const kind of ['rms', 'layer'] as const) {
  test(`norm.backward: is the derivative of ${kind} norm`, (t) => {
    const draw = new Draw(1);
    const [rows, groups, dim] = [3, 2, 5];
    const length = rows * groups * dim;
    const [x, weight, bias] = [
      draw.floats(device, length),
      draw.floats(device, dim),
      draw.floats(device, dim),
    ];
    const [out, dOut, dx] = [device.floats(length), draw.floats(device, length), device.floats(length)];
    const [weightSum, biasSum] = [emptySum(dim), emptySum(dim)];
    const shape = {
      kind,
      rows,
      groups,
      dim,
      x: { data: x },
      weight,
      stats: device.floats(2 * rows * groups),
    };
    const forward: KernelCall = { op: 'norm.forward', ...shape, bias, eps: 1e-2, out: { data: out } };
    const grainStarts = ints(0, 1, 3);
    const sums = { weightSum, biasSum };
    run([
      forward,
      {
        op: 'norm.backward',
        ...shape,
        dOut: { data: dOut },
        dx: { data: dx },
        accumulate: false,
        grainStarts,
        ...sums,
      },
    ]);
    const loss = (): number => (run([forward]), meeting(out, dOut));
    agree(t, 'x', loss, x, dx);
    agree(t, 'weight', loss, weight, read(weightSum));
    agree(t, 'bias', loss, bias, read(biasSum));
  });
}

test('linear.backward: is the derivative of a product', (t) => {
  const draw = new Draw(2);
  const [rows, inDim, outDim] = [4, 5, 3];
  const [x, weight] = [draw.floats(device, rows * inDim), draw.floats(device, outDim * inDim)];
  const [out, dOut, dx] = [
    device.floats(rows * outDim),
    draw.floats(device, rows * outDim),
    device.floats(rows * inDim),
  ];
  const weightSum = emptySum(weight.length);
  const shape = { rows, inDim, outDim };
  const forward: KernelCall = { op: 'linear.forward', ...shape, x: { data: x }, weight, out: { data: out } };
  const grainStarts = ints(0, 2, 2, 4);
  run([
    { op: 'linear.backward.input', ...shape, dOut: { data: dOut }, weight, dx: { data: dx } },
    { op: 'linear.backward.weight', ...shape, dOut: { data: dOut }, x: { data: x }, grainStarts, weightSum },
  ]);
  const loss = (): number => (run([forward]), meeting(out, dOut));
  agree(t, 'x', loss, x, dx);
  agree(t, 'weight', loss, weight, read(weightSum));
});

test('embed.backward: is the derivative of the look-up', (t) => {
  const draw = new Draw(3);
  const [dim, vocab] = [3, 4];
  const ids_T = ints(1, 3, 1, 0, 1);
  const table_VD = draw.floats(device, vocab * dim);
  const [out_TD, dOut_TD] = [device.floats(5 * dim), draw.floats(device, 5 * dim)];
  const tableSum = emptySum(table_VD.length);
  run([{ op: 'embed.backward', ids_T, dOut_TD, dim, grainStarts: ints(0, 2, 5), tableSum }]);
  const loss = (): number => (
    run([{ op: 'embed.forward', ids_T, table_VD, out_TD, dim }]),
    meeting(out_TD, dOut_TD)
  );
  agree(t, 'table', loss, table_VD, read(tableSum));
});

test('rope: its inverse is its derivative', (t) => {
  const draw = new Draw(4);
  const [rows, seqLen, heads, headDim] = [6, 3, 2, 4];
  const x = draw.floats(device, rows * heads * headDim);
  const dOut = draw.floats(device, x.length);
  const angles = draw.values(seqLen * 2, 3);
  const shape = {
    op: 'rope',
    rows,
    seqLen,
    heads,
    headDim,
    cos_S2: floatsOf(device, angles.map(Math.cos)),
    sin_S2: floatsOf(device, angles.map(Math.sin)),
  } as const;
  const dx = floatsOf(device, onHost(dOut));
  run([{ ...shape, x: { data: dx }, inverse: true }]);
  const loss = (): number => {
    const out = floatsOf(device, onHost(x));
    run([{ ...shape, x: { data: out }, inverse: false }]);
    return meeting(out, dOut);
  };
  agree(t, 'x', loss, x, dx);
});

const attentionViews = {
  'causal with documents': { firstSeen_T: ints(0, 0, 0, 2, 2, 0, 1, 1, 1, 4) },
  'of both sides': { endSeen_T: ints(5, 5, 5, 5, 5, 5, 5, 5, 5, 5) },
  'over runs of another stream': {
    keyLen: 4,
    firstSeen_T: ints(0, 0, 2, 3, 4, 1, 0, 3, 0, 0),
    endSeen_T: ints(4, 1, 4, 1, 4, 3, 0, 4, 4, 2),
  },
  'causal with a bias by distance': {
    bias: { table_BH: new Draw(7).floats(device, 4 * 4), buckets: 4, bidirectional: false, maxDistance: 4 },
  },
  'of both sides with a bias by distance': {
    endSeen_T: ints(5, 5, 5, 5, 5, 5, 5, 5, 5, 5),
    bias: { table_BH: new Draw(8).floats(device, 8 * 4), buckets: 8, bidirectional: true, maxDistance: 4 },
  },
};
for (const [name, view] of Object.entries(attentionViews)) {
  test(`attention.backward: is the derivative of grouped-query attention ${name}`, (t) => {
    const draw = new Draw(5);
    const [batch, seqLen, heads, kvHeads, headDim] = [2, 5, 4, 2, 3];
    const { keyLen = seqLen } = view as { readonly keyLen?: number };
    const [queries, keys] = [batch * seqLen * heads * headDim, batch * keyLen * kvHeads * headDim];
    const [q, k, v] = [draw.floats(device, queries), draw.floats(device, keys), draw.floats(device, keys)];
    const [out, dOut] = [device.floats(queries), draw.floats(device, queries)];
    const [dq, dk, dv] = [device.floats(queries), device.floats(keys), device.floats(keys)];
    const shape = {
      batch,
      seqLen,
      heads,
      kvHeads,
      headDim,
      scale: 0.7,
      ...view,
      q: { data: q },
      k: { data: k },
      v: { data: v },
      out: { data: out },
      lse_TH: device.floats(batch * seqLen * heads),
    };
    const forward: KernelCall = { op: 'attention.forward', ...shape };
    const { bias } = view as { readonly bias?: RelativeBias };
    const biasSum = emptySum((bias?.buckets ?? 0) * heads);
    const gradients = {
      dq: { data: dq },
      dk: { data: dk },
      dv: { data: dv },
      ...(bias === undefined ? {} : { biasSum, grainStarts: ints(0, seqLen, batch * seqLen) }),
    };
    run([forward, { op: 'attention.backward', ...shape, dOut: { data: dOut }, ...gradients }]);
    const loss = (): number => (run([forward]), meeting(out, dOut));
    agree(t, 'q', loss, q, dq);
    agree(t, 'k', loss, k, dk);
    agree(t, 'v', loss, v, dv);
    if (bias !== undefined) agree(t, 'bias', loss, bias.table_BH, read(biasSum));
  });
}

for (const [scores, scale] of [
  ['softmax', 1],
  ['softmax', 2.5],
  ['sigmoid', 2.5],
] as const) {
  for (const [renormalise, fractionsGlobal] of [
    [true, true],
    [true, false],
    [false, true],
    [false, false],
  ]) {
    test(`gate.backward: is the derivative of weights, balance and z-loss (${scores}, scale ${scale}, renormalise ${renormalise}, global ${fractionsGlobal})`, (t) => {
      const draw = new Draw(6);
      const [tokens, experts, topK] = [7, 5, 3];
      const logits_TE = draw.floats(device, tokens * experts, 2);
      const choices_TK = ints(0, 1, 2, 4, 3, -1, -1, -1, -1, 1, 0, 4, 2, 3, 0, 0, 1, 2, 3, 4, 0);
      const valid = Uint8Array.of(1, 1, 1, 1, 0, 1, 1);
      const groupStarts = ints(0, 4, 7);
      const numValid = [4, 2];
      const [probs_TE, weights_TK] = [device.floats(tokens * experts), device.floats(tokens * topK)];
      const dWeights_TK = draw.floats(device, tokens * topK);
      const fractions = draw.floats(device, (fractionsGlobal ? 1 : 2) * experts);
      const dLogits_TE = device.floats(tokens * experts);
      const [auxScale, zScale] = [0.3, 0.2];
      const router = {
        tokens,
        experts,
        topK,
        renormalise: renormalise === true,
        scores,
        scale,
        logits_TE,
        valid_T: device.upload(valid),
        probs_TE,
        choices_TK,
        weights_TK,
      };
      const aux = { groupStarts, fractions, fractionsGlobal: fractionsGlobal === true, auxScale, zScale };
      const forward: KernelCall = { op: 'gate.forward', ...router, choicesGiven: true };
      run([forward, { op: 'gate.backward', ...router, dWeights_TK, ...aux, dLogits_TE }]);
      const loss = (): number => {
        run([forward]);
        let total = meeting(weights_TK, dWeights_TK);
        for (let token = 0; token < tokens; token++) {
          if (valid[token] === 0) continue;
          const group = token < 4 ? 0 : 1;
          const row = Array.from(onHost(logits_TE.subarray(token * experts, (token + 1) * experts)));
          total += zScale * Math.log(row.reduce((sum, logit) => sum + Math.exp(logit), 0)) ** 2;
          const probs = Array.from(onHost(probs_TE.subarray(token * experts, (token + 1) * experts)));
          const sum = scores === 'sigmoid' ? probs.reduce((a, b) => a + b, 0) : 1;
          for (let e = 0; e < experts; e++) {
            const fraction = onHost(fractions)[(fractionsGlobal ? 0 : group * experts) + e]!;
            total +=
              (auxScale * experts * fraction * (probs[e]! / sum)) / (fractionsGlobal ? 1 : numValid[group]!);
          }
        }
        return total;
      };
      agree(t, 'logits', loss, logits_TE, dLogits_TE);
    });
  }
}

for (const activation of activations) {
  test(`experts.backward: is the derivative of experts with ${activation}`, (t) => {
    const draw = new Draw(7);
    const [experts, dim, hidden] = [2, 4, 3];
    const expertStride = (hiddenInputs(activation) + 1) * hidden * dim + 2;
    const weights = draw.floats(device, experts * expertStride);
    const weightSum = emptySum(weights.length);
    const saved = device.floats(8 * 2 * hidden);
    const shapes = [
      { counts_EG: ints(2, 1), numGrains: 1, slots_N: ints(1, 0, 1), tokens: 2, rows: 3 },
      {
        counts_EG: ints(0, 1, 1, 2),
        numGrains: 2,
        slots_N: ints(2, 2, 0, 1),
        tokens: 3,
        rows: 4,
      },
    ];
    const sources = shapes.map(({ tokens, rows, ...rest }) => ({
      ...rest,
      x_UD: draw.floats(device, tokens * dim),
      y_ND: device.floats(rows * dim),
      dOut_UD: draw.floats(device, tokens * dim),
      rowWeights_N: draw.floats(device, rows),
      dx_ND: device.floats(rows * dim),
    }));
    const group = { experts, dim, hidden, activation, weights, expertStride, sources };
    const forward: KernelCall = { op: 'experts.forward', ...group, saved };
    run([forward, { op: 'experts.backward', ...group, saved, weightSum }]);
    /** The combined output of each token is Σ rowWeight·y over its rows. */
    const loss = (): number => {
      run([forward]);
      let total = 0;
      for (const { slots_N, rowWeights_N, y_ND, dOut_UD } of onHost(sources)) {
        slots_N.forEach((slot, row) => {
          for (let d = 0; d < dim; d++)
            total += rowWeights_N[row]! * y_ND[row * dim + d]! * dOut_UD[slot * dim + d]!;
        });
      }
      return total;
    };
    const gradient = read(weightSum);
    agree(t, 'weights', loss, weights, gradient);
    sources.forEach(({ slots_N, dx_ND, x_UD }, i) => {
      const dTokens = new Float64Array(x_UD.length);
      onHost(slots_N).forEach((slot, row) => {
        for (let d = 0; d < dim; d++) dTokens[slot * dim + d]! += onHost(dx_ND)[row * dim + d]!;
      });
      agree(t, `x of source ${i}`, loss, x_UD, device.upload(dTokens));
    });
  });
}

test('combine.backward.weights: is the derivative of combine', (t) => {
  const draw = new Draw(8);
  const [tokens, topK, dim] = [3, 2, 4];
  const parts = [
    { firstRow: 2, rows: 3, data: draw.floats(device, 3 * dim) },
    { firstRow: 0, rows: 2, data: draw.floats(device, 2 * dim) },
  ];
  const position_TK = ints(4, 0, -1, 2, 1, 3);
  const weights_TK = draw.floats(device, tokens * topK);
  const [out_TD, dOut_TD, dWeights_TK] = [
    device.floats(tokens * dim),
    draw.floats(device, tokens * dim),
    device.floats(tokens * topK),
  ];
  const shape = { tokens, topK, dim, parts, position_TK };
  run([{ op: 'combine.backward.weights', ...shape, dOut_TD, dWeights_TK }]);
  const loss = (): number => (
    run([{ op: 'combine', ...shape, weights_TK, out_TD }]),
    meeting(out_TD, dOut_TD)
  );
  agree(t, 'weights', loss, weights_TK, dWeights_TK);
});

for (const smoothing of [0, 0.3]) {
  test(`head.loss: its gradients are the derivatives of its loss (smoothing ${smoothing})`, (t) => {
    const draw = new Draw(9);
    const [tokens, dim, vocab, gradScale] = [5, 4, 7, 0.3];
    const [x_TD, head_VD] = [draw.floats(device, tokens * dim), draw.floats(device, vocab * dim)];
    const targets_T = ints(3, -1, 0, 6, 3);
    const [loss_T, dx_TD] = [device.floats(tokens), device.floats(tokens * dim)];
    const headSum = emptySum(vocab * dim);
    const shape = {
      op: 'head.loss',
      tokens,
      dim,
      vocab,
      x_TD,
      head_VD,
      targets_T,
      grainStarts: ints(0, 2, 5),
      loss_T,
      smoothing,
    } as const;
    run([{ ...shape, lossSum: device.int64s(2), gradScale, dx_TD, headSum }]);
    const loss = (): number => {
      run([{ ...shape, lossSum: device.int64s(2) }]);
      return gradScale * Array.from(onHost(loss_T)).reduce((sum, value) => sum + value, 0);
    };
    agree(t, 'x', loss, x_TD, dx_TD);
    agree(t, 'head', loss, head_VD, read(headSum));
  });
}
