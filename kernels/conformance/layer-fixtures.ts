/** PyTorch's norms, rotary, FFNs, embedding, losses and optimizer. */
import {
  LOSS_QUANTUM_LOG2,
  NORM_QUANTUM_LOG2,
  type Activation,
  type Device,
  type KernelCall,
} from '@troupe/kernel-set';
import { wideNumber } from '@troupe/core';
import { compute } from './body.ts';
import { floatsOf, intsBy, intsOf } from './device-values.ts';
import type { FixtureCheck } from './fixture-check.ts';
import type { Fixture } from './fixtures.ts';

function norm(kind: 'rms' | 'layer'): FixtureCheck {
  return async (f, device, expect) => {
    const [dim, rows, groups] = [12, 10, 1];
    const x = { data: f.floats('x') };
    const out = { data: device.floats(rows * dim) };
    const dx = { data: device.floats(rows * dim) };
    const [weightSum, biasSum] = [f.emptySum(dim), f.emptySum(dim)];
    const shape = {
      kind,
      rows,
      groups,
      dim,
      x,
      weight: f.floats('weight'),
      stats: device.floats(2 * rows),
    } as const;
    const bias = kind === 'layer' ? { bias: f.floats('bias') } : {};
    const dOut = { data: f.floats('grad_out') };
    await compute(device, [
      { op: 'norm.forward', ...shape, eps: 1e-5, ...bias, out },
      {
        op: 'norm.backward',
        ...shape,
        dOut,
        dx,
        accumulate: false,
        grainStarts: f.grains(rows),
        weightSum,
        biasSum,
      },
    ]);
    expect('out', 'forward', device.read(out.data), f.values('out'));
    expect('grad_x', 'gradient', device.read(dx.data), f.values('grad_x'));
    expect('grad_weight', 'gradient', await f.read(weightSum), f.values('grad_weight'));
    if (kind === 'layer') expect('grad_bias', 'gradient', await f.read(biasSum), f.values('grad_bias'));
  };
}

const ropeHalf: FixtureCheck = async (f, device, expect) => {
  const [seqLen, headDim, batch] = [7, 8, 2];
  const half = headDim / 2;
  // Positions differ between the fixture's sequences, so each is a call of its own with its own angles. The fixture
  // repeats an angle for both halves, [B, S, headDim]; ours are [S, headDim/2].
  const table = (name: string, b: number) =>
    f.put(
      Array.from(
        { length: seqLen * half },
        (_, i) => f.values(name)[(b * seqLen + Math.floor(i / half)) * headDim + (i % half)]!,
      ),
    );
  for (const [name, heads] of [
    ['q', 4],
    ['k', 2],
  ] as const) {
    const data = f.put(f.heads(name));
    const gradient = f.put(f.heads(`grad_out_${name}`));
    for (let b = 0; b < batch; b++) {
      const offset = b * seqLen * heads * headDim;
      const shape = {
        op: 'rope',
        rows: seqLen,
        seqLen,
        heads,
        headDim,
        cos_S2: table('cos', b),
        sin_S2: table('sin', b),
      } as const;
      await compute(device, [
        { ...shape, x: { data, offset }, inverse: false },
        { ...shape, x: { data: gradient, offset }, inverse: true },
      ]);
    }
    expect(`out_${name}`, 'forward', device.read(data), f.heads(`out_${name}`));
    expect(`grad_${name}`, 'gradient', device.read(gradient), f.heads(`grad_${name}`));
  }
};

/** Appends a column to a matrix. */
const withColumn = (matrix: Float64Array, columns: number, column: (row: number) => number): Float64Array =>
  Float64Array.from({ length: (matrix.length / columns) * (columns + 1) }, (_, i) => {
    const [row, at] = [Math.floor(i / (columns + 1)), i % (columns + 1)];
    return at === columns ? column(row) : matrix[row * columns + at]!;
  });

/** The first `columns` of each row of `columns + 1`, and the last one by itself. */
const splitColumn = (matrix: ArrayLike<number>, columns: number): { main: number[]; last: number[] } => ({
  main: Array.from(matrix).filter((_, i) => i % (columns + 1) !== columns),
  last: Array.from(matrix).filter((_, i) => i % (columns + 1) === columns),
});

const swiglu: FixtureCheck = async (f, device, expect) => {
  const [rows, dim, hidden] = [9, 12, 20];
  const weights = f.put([...f.values('gate'), ...f.values('up'), ...f.values('down')]);
  const { y, dx, dWeights } = await ffn(
    f,
    device,
    'swiglu',
    { rows, dim, hidden },
    f.floats('x'),
    weights,
    f.floats('grad_out'),
  );
  const size = dim * hidden;
  expect('out', 'forward', device.read(y), f.values('out'));
  expect('grad_x', 'gradient', device.read(dx), f.values('grad_x'));
  expect('grad_gate', 'gradient', dWeights.slice(0, size), f.values('grad_gate'));
  expect('grad_up', 'gradient', dWeights.slice(size, 2 * size), f.values('grad_up'));
  expect('grad_down', 'gradient', dWeights.slice(2 * size), f.values('grad_down'));
};

/** The fixtures have biases, the kernel has none: b1 is the weight of an input that is always 1, b2 where the chain starts. */
function biasedFfn(activation: Activation): FixtureCheck {
  return async (f, device, expect) => {
    const [rows, dim, hidden] = [9, 12, 20];
    const x = f.put(withColumn(f.values('x'), dim, () => 1));
    const w1 = withColumn(f.values('w1'), dim, (row) => f.values('b1')[row]!);
    const weights = f.put([...w1, ...f.values('w2'), ...new Float64Array(hidden)]);
    const start = f.put(
      Array.from({ length: rows * (dim + 1) }, (_, i) => f.values('b2')[i % (dim + 1)] ?? 0),
    );
    const dOut = f.put(withColumn(f.values('grad_out'), dim, () => 0));
    const shape = { rows, dim: dim + 1, hidden };
    const { y, dx, dWeights } = await ffn(f, device, activation, shape, x, weights, dOut, start);
    const dW1 = splitColumn(dWeights.slice(0, hidden * (dim + 1)), dim);
    expect('out', 'forward', splitColumn(device.read(y), dim).main, f.values('out'));
    expect('grad_x', 'gradient', splitColumn(device.read(dx), dim).main, f.values('grad_x'));
    expect('grad_w1', 'gradient', dW1.main, f.values('grad_w1'));
    expect('grad_b1', 'gradient', dW1.last, f.values('grad_b1'));
    expect(
      'grad_w2',
      'gradient',
      dWeights.slice(hidden * (dim + 1), hidden * (dim + 1) + dim * hidden),
      f.values('grad_w2'),
    );
  };
}

type Ffn = { readonly y: Device['floats'] extends (n: number) => infer F ? F : never };

/** One dense FFN, forward and backward, as a group of one expert. */
async function ffn(
  f: Fixture,
  device: Device,
  activation: Activation,
  { rows, dim, hidden }: { rows: number; dim: number; hidden: number },
  x_UD: Ffn['y'],
  weights: Ffn['y'],
  dOut_UD: Ffn['y'],
  start?: Ffn['y'],
) {
  const y_ND = start ?? device.floats(rows * dim);
  const dx_ND = device.floats(rows * dim);
  const weightSum = f.emptySum(weights.length);
  const counts_EG = intsBy(device, 3, () => rows / 3);
  const group = {
    experts: 1,
    dim,
    hidden,
    activation,
    weights,
    expertStride: weights.length,
    saved: device.floats(rows * 2 * hidden),
  };
  const sources = [{ x_UD, counts_EG, numGrains: 3, y_ND, dOut_UD, dx_ND }];
  await compute(device, [
    { op: 'experts.forward', ...group, sources, accumulate: start !== undefined },
    { op: 'experts.backward', ...group, sources, weightSum },
  ]);
  return { y: y_ND, dx: dx_ND, dWeights: await f.read(weightSum) };
}

/** Cross entropy of given logits: the head is the identity, so x are the logits. */
const crossEntropy =
  (smoothing: number): FixtureCheck =>
  async (f, device, expect) => {
    const [tokens, vocab] = [10, 17];
    const targets = f.values('target').map((target) => (target === -100 ? -1 : target));
    const numValid = targets.filter((target) => target >= 0).length;
    const identity = Array.from({ length: vocab * vocab }, (_, i) => (i % (vocab + 1) === 0 ? 1 : 0));
    const [loss_T, lossSum, dx_TD] = [device.floats(tokens), device.int64s(2), device.floats(tokens * vocab)];
    const headSum = f.emptySum(vocab * vocab);
    const shape = {
      tokens,
      dim: vocab,
      vocab,
      x_TD: f.floats('logits'),
      head_VD: floatsOf(device, identity),
      targets_T: intsOf(device, targets),
      grainStarts: f.grains(tokens),
    };
    await compute(device, [
      { op: 'head.loss', ...shape, loss_T, lossSum, smoothing, gradScale: 1 / numValid, dx_TD, headSum },
    ]);
    expect(
      'loss',
      'forward',
      [wideNumber(device.read(lossSum), LOSS_QUANTUM_LOG2) / numValid],
      f.values('loss'),
    );
    expect('grad_logits', 'gradient', device.read(dx_TD), f.values('grad_logits'));
  };

const embedding: FixtureCheck = async (f, device, expect) => {
  const out_TD = device.floats(9 * 5);
  const tableSum = f.emptySum(17 * 5);
  const ids_T = f.ints('ids');
  await compute(device, [
    { op: 'embed.forward', ids_T, table_VD: f.floats('weight'), out_TD, dim: 5 },
    {
      op: 'embed.backward',
      ids_T,
      dOut_TD: f.floats('grad_out'),
      dim: 5,
      grainStarts: f.grains(9),
      tableSum,
    },
  ]);
  expect('out', 'forward', device.read(out_TD), f.values('out'));
  expect('grad_weight', 'gradient', await f.read(tableSum), f.values('grad_weight'));
};

function adamw(rates: readonly number[], weightDecay: number): FixtureCheck {
  return async (f, device, expect) => {
    const [beta1, beta2] = [0.9, 0.999];
    const weights = f.floats('param_0');
    const [m, v] = [device.floats(weights.length), device.floats(weights.length)];
    for (const [i, learningRate] of rates.entries()) {
      const step = i + 1;
      const moments = { beta1, beta2, correction1: 1 - beta1 ** step, correction2: 1 - beta2 ** step };
      const gradient = f.sumOf(f.values(`grad_${step}`));
      const call: KernelCall = {
        op: 'adamw',
        weights,
        out: weights,
        m,
        v,
        gradient,
        gradScale: 1,
        learningRate,
        ...moments,
        eps: 1e-8,
        weightDecay,
      };
      await compute(device, [call]);
      expect(`param_${step}`, 'forward', device.read(weights), f.values(`param_${step}`));
      expect(`exp_avg_${step}`, 'gradient', device.read(m), f.values(`exp_avg_${step}`));
      expect(`exp_avg_sq_${step}`, 'gradient', device.read(v), f.values(`exp_avg_sq_${step}`));
    }
  };
}

const squaredNorm: FixtureCheck = async (f, device, expect) => {
  const norm128 = device.int64s(2);
  await compute(
    device,
    ['grad_0', 'grad_1', 'grad_2'].map((name) => ({
      op: 'sum.squares',
      gradient: f.sumOf(f.values(name)),
      norm128,
    })),
  );
  expect(
    'norm',
    'forward',
    [Math.sqrt(wideNumber(device.read(norm128), NORM_QUANTUM_LOG2))],
    f.values('norm'),
  );
};

export const layerFixtures: Readonly<Record<string, FixtureCheck>> = {
  rms_norm: norm('rms'),
  layer_norm: norm('layer'),
  rope_half: ropeHalf,
  ffn_swiglu: swiglu,
  ffn_gelu_tanh: biasedFfn('gelu-tanh'),
  ffn_gelu_erf: biasedFfn('gelu'),
  ffn_relu: biasedFfn('relu'),
  cross_entropy: crossEntropy(0),
  cross_entropy_ignore: crossEntropy(0),
  cross_entropy_smooth: crossEntropy(0.1),
  cross_entropy_smooth_ignore: crossEntropy(0.1),
  embedding,
  adamw: adamw([0.001, 0.001, 0.001, 0.001, 0.001], 0.1),
  adamw_schedule: adamw([0.001, 0.002, 0.003, 0.002, 0.001], 0),
  clip_active: squaredNorm,
  clip_inactive: squaredNorm,
};
