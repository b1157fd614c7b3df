/** Calls that give gradients of parameters, in sizes where leaves take several passes, and where some elements get none. */
import type { Device, GradientTarget, KernelCall } from '@troupe/kernel-set';
import { intsBy, intsOf } from './device-values.ts';
import type { Draw } from './draw.ts';

/** One call over fixed inputs, with its gradient going to targets that `make` hands out by length. */
type BuildTarget = (
  device: Device,
  draw: Draw,
) => {
  readonly lengths: readonly number[];
  /** False for elements that belong to nobody; default: true for all. */
  readonly covers?: (element: number) => boolean;
  readonly call: (targets: readonly GradientTarget[]) => KernelCall;
};

const linear =
  (rows: number, starts: readonly number[], [inDim, outDim] = [37, 45], scale = 1): BuildTarget =>
  (device, draw) => {
    const x = { data: draw.floats(device, rows * inDim, scale) };
    const dOut = { data: draw.floats(device, rows * outDim, scale) };
    const shape = { rows, inDim, outDim, x, dOut, grainStarts: intsOf(device, starts) };
    return {
      lengths: [outDim * inDim],
      call: ([weightSum]) => ({ op: 'linear.backward.weight', ...shape, weightSum: weightSum! }),
    };
  };

/** Expert 1 has no rows, expert 2 most of them; sources and grains without rows among them. */
const experts =
  (counts: readonly (readonly number[])[]): BuildTarget =>
  (device, draw) => {
    const [numExperts, dim, hidden, numGrains] = [4, 19, 23, 3];
    const size = 3 * hidden * dim;
    const expertStride = size + 5;
    const length = 3 * expertStride + size;
    const sources = counts.map((each) => {
      const rows = each.reduce((a, b) => a + b, 0);
      const tokens = Math.max(1, Math.floor(rows / 2));
      return {
        x_UD: draw.floats(device, tokens * dim),
        slots_N: intsBy(device, rows, () => draw.integer(0, tokens)),
        counts_EG: intsOf(device, each),
        numGrains,
        dOut_UD: draw.floats(device, tokens * dim),
        rowWeights_N: draw.floats(device, rows),
        dx_ND: device.floats(rows * dim),
        rows,
      };
    });
    const rows = sources.reduce((sum, source) => sum + source.rows, 0);
    const saved = draw.floats(device, rows * 2 * hidden);
    const weights = draw.floats(device, length);
    const group = { experts: numExperts, dim, hidden, activation: 'swiglu' as const, weights, expertStride };
    return {
      lengths: [length],
      covers: (element) => element % expertStride < size,
      call: ([weightSum]) => ({ op: 'experts.backward', ...group, sources, saved, weightSum: weightSum! }),
    };
  };

const head =
  (starts: readonly number[]): BuildTarget =>
  (device, draw) => {
    const [tokens, dim, vocab] = [starts.at(-1)!, 21, 70];
    const shape = {
      tokens,
      dim,
      vocab,
      x_TD: draw.floats(device, tokens * dim),
      head_VD: draw.floats(device, vocab * dim),
      targets_T: intsBy(device, tokens, () => draw.integer(-1, vocab)),
      grainStarts: intsOf(device, starts),
      loss_T: device.floats(tokens),
      lossSum: device.int64s(2),
      gradScale: 0.25,
      dx_TD: device.floats(tokens * dim),
    };
    return {
      lengths: [vocab * dim],
      call: ([headSum]) => ({ op: 'head.loss', ...shape, headSum: headSum! }),
    };
  };

const embed =
  (starts: readonly number[]): BuildTarget =>
  (device, draw) => {
    const [tokens, dim, vocab] = [starts.at(-1)!, 37, 60];
    const shape = {
      ids_T: intsBy(device, tokens, () => draw.integer(3, 30)),
      dOut_TD: draw.floats(device, tokens * dim),
      dim,
      grainStarts: intsOf(device, starts),
    };
    return {
      lengths: [vocab * dim],
      call: ([tableSum]) => ({ op: 'embed.backward', ...shape, tableSum: tableSum! }),
    };
  };

const norm =
  (starts: readonly number[]): BuildTarget =>
  (device, draw) => {
    const [rows, groups, dim] = [starts.at(-1)!, 2, 300];
    const x = { data: draw.floats(device, rows * groups * dim) };
    const dOut = { data: draw.floats(device, rows * groups * dim) };
    const shape = {
      kind: 'layer' as const,
      rows,
      groups,
      dim,
      x,
      dOut,
      weight: draw.floats(device, dim),
      stats: draw.floats(device, rows * groups * 2),
      accumulate: false,
      grainStarts: intsOf(device, starts),
    };
    return {
      lengths: [dim, dim],
      call: ([weightSum, biasSum]) => ({
        op: 'norm.backward',
        ...shape,
        dx: { data: device.floats(rows * groups * dim) },
        weightSum: weightSum!,
        biasSum: biasSum!,
      }),
    };
  };

const relativeBias =
  (sequences: readonly number[]): BuildTarget =>
  (device, draw) => {
    const [batch, seqLen, heads, headDim, buckets] = [sequences.at(-1)!, 19, 6, 8, 12];
    const rows = () => ({ data: draw.floats(device, batch * seqLen * heads * headDim) });
    const shape = {
      batch,
      seqLen,
      heads,
      kvHeads: heads,
      headDim,
      scale: 1,
      endSeen_T: intsBy(device, batch * seqLen, () => seqLen),
      bias: {
        table_BH: draw.floats(device, buckets * heads),
        buckets,
        bidirectional: true,
        maxDistance: 16,
      },
      q: rows(),
      k: rows(),
      v: rows(),
      out: rows(),
      lse_TH: draw.floats(device, batch * seqLen * heads, 2),
      dOut: rows(),
      dq: rows(),
      dk: rows(),
      dv: rows(),
      grainStarts: intsOf(
        device,
        sequences.map((first) => first * seqLen),
      ),
    };
    return {
      lengths: [buckets * heads],
      call: ([biasSum]) => ({ op: 'attention.backward', ...shape, biasSum: biasSum! }),
    };
  };

/** Grains of more rows than a body computes logits of at a time: their leaf goes on from one stretch of rows to the next. */
export const longHead = head([0, 520, 520, 1060]);

export const targetCases: Readonly<Record<string, BuildTarget>> = {
  'a linear layer': linear(53, [0, 0, 11, 40, 53]),
  'a linear layer of many rows': linear(2600, [0, 700, 700, 1500, 1501, 2600, 2600]),
  'a large linear layer': linear(5, [0, 2, 5], [1040, 1024]),
  // Leaves on both sides of 2^-27, from where on an f32 is a multiple of the sums' 2^-50.
  'a linear layer of small gradients': linear(29, [0, 29], [37, 45], 1e-4),
  'a linear layer of small gradients in two leaves': linear(29, [0, 9, 29], [37, 45], 1e-4),
  'a linear layer without rows': linear(0, [0, 0, 0]),
  'experts, one without rows': experts([
    [3, 0, 9, 0, 0, 0, 70, 8, 31, 1, 1, 1],
    [0, 5, 0, 0, 0, 0, 0, 40, 2, 0, 0, 7],
  ]),
  'experts of many rows': experts([
    [3, 0, 900, 0, 0, 0, 700, 800, 310, 1, 1, 1],
    [0, 500, 0, 0, 0, 0, 0, 400, 200, 0, 0, 700],
  ]),
  'experts without rows': experts([[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]]),
  'the head': head([0, 20, 20, 47, 60, 60]),
  'the head over one grain': head([0, 33]),
  'the head without tokens': head([0, 0]),
  'the embedding': embed([0, 15, 15, 40, 200]),
  'the embedding without tokens': embed([0, 0]),
  'a norm': norm([0, 4, 4, 30]),
  'a norm of one grain': norm([0, 30]),
  'a norm without rows': norm([0, 0]),
  'a bias by distance': relativeBias([0, 0, 2, 5, 6]),
  'a bias by distance without rows': relativeBias([0, 0]),
};
