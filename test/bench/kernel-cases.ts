import type { Device, ExactSum, Floats, Ints, KernelCall, Precision } from '@troupe/kernel-set';

const T = 4096;
const D = 256;
const F = 512;
const E = 16;
const V = 8192;
const G = 8;

const rowBounds = (device: Device, parts: number): Ints =>
  device.upload(Int32Array.from({ length: parts + 1 }, (_, part) => (T / parts) * part));

function filled(device: Device, length: number): Floats {
  const data = device.floats(length);
  const values = new Float32Array(length);
  for (let i = 0; i < length; i++) values[i] = ((i * 2654435761) % 1000) / 1000 - 0.5;
  device.write(data, values);
  return data;
}

const exactSum = (device: Device, length: number): ExactSum => ({
  values: device.int64s(length),
  overflow: device.ints(1),
});

/** Some work on the native device. */
export interface KernelCase {
  readonly name: string;
  readonly flops: number;
  /** Read and written, for work that memory bounds. */
  readonly bytes?: number;
  readonly calls: readonly KernelCall[];
  /** The same in `peers/kernel_ops.py`. */
  readonly rival?: string;
}

/** The work of a step of the job "coarse", and what exact sums cost beside it. */
export function kernelCases(device: Device, precision: Precision): readonly KernelCase[] {
  const x = filled(device, T * D);
  const wide = filled(device, T * 2 * F);
  const weight = filled(device, 2 * F * D);
  const out = device.floats(T * 2 * F);
  const linear = { rows: T, inDim: D, outDim: 2 * F };
  const weightGradient = {
    op: 'linear.backward.weight',
    ...linear,
    dOut: { data: wide },
    x: { data: x },
    precision,
  } as const;
  const expertSize = 3 * F * D;
  const experts = filled(device, E * expertSize);
  const counts = device.upload(new Int32Array(E * G).fill((T * 2) / (E * G)));
  const slots = device.upload(Int32Array.from({ length: 2 * T }, (_, row) => row % T));
  const source = { x_UD: x, slots_N: slots, counts_EG: counts, numGrains: G };
  const group = {
    experts: E,
    dim: D,
    hidden: F,
    activation: 'swiglu',
    weights: experts,
    expertStride: expertSize,
  } as const;
  const saved = precision === 'f32' ? device.floats(2 * T * 2 * F) : device.halves(2 * T * 2 * F);
  const rows = device.floats(2 * T * D);
  const head = filled(device, V * D);
  const targets = device.upload(Int32Array.from({ length: T }, (_, token) => (token * 31) % V));
  const stored = (length: number) => ({ gradient: device.floats(length), overflow: device.ints(1) });
  const product = 2 * T * D * 2 * F;
  const expertProduct = 2 * 2 * T * D * F * 3;
  const products: readonly KernelCase[] = [
    {
      name: 'linear forward, 4096×256×1024',
      flops: product,
      rival: 'linear.forward',
      calls: [{ op: 'linear.forward', ...linear, x: { data: x }, weight, out: { data: out }, precision }],
    },
    {
      name: 'linear weight gradient, leaves of 8 grains, stored',
      flops: product,
      rival: 'linear.backward.weight',
      calls: [{ ...weightGradient, grainStarts: rowBounds(device, G), weightSum: stored(2 * F * D) }],
    },
    {
      name: 'the same, added to an exact sum',
      flops: product,
      calls: [
        { ...weightGradient, grainStarts: rowBounds(device, G), weightSum: exactSum(device, 2 * F * D) },
      ],
    },
    {
      name: 'the same, one grain',
      flops: product,
      calls: [{ ...weightGradient, grainStarts: rowBounds(device, 1), weightSum: stored(2 * F * D) }],
    },
    {
      name: 'experts forward, 16 × 512 rows',
      flops: expertProduct,
      rival: 'experts.forward',
      calls: [{ op: 'experts.forward', ...group, sources: [{ ...source, y_ND: rows }], saved, precision }],
    },
    {
      name: 'experts backward, 16 × 512 rows, 8 grains',
      flops: 2 * expertProduct,
      rival: 'experts.backward',
      calls: [
        {
          op: 'experts.backward',
          ...group,
          sources: [{ ...source, dOut_UD: x, dx_ND: rows }],
          saved,
          weightSum: stored(E * expertSize),
          precision,
        },
      ],
    },
    {
      name: 'head and cross entropy, forward and backward, vocab 8192',
      flops: 3 * 2 * T * D * V,
      rival: 'head.loss',
      calls: [
        {
          op: 'head.loss',
          tokens: T,
          dim: D,
          vocab: V,
          x_TD: x,
          head_VD: head,
          targets_T: targets,
          grainStarts: rowBounds(device, G),
          loss_T: device.floats(T),
          lossSum: device.int64s(2),
          gradScale: 1 / T,
          dx_TD: device.floats(T * D),
          headSum: stored(V * D),
          precision,
        },
      ],
    },
  ];
  return precision === 'bf16' ? products : [...products, ...attentionCases(device), adamwCase(device)];
}

/** Always in f32; FLOPs of the causal half. */
function attentionCases(device: Device): readonly KernelCase[] {
  const [seqLen, heads] = [128, 4];
  const rows = () => ({ data: filled(device, T * D) });
  const shape = {
    batch: T / seqLen,
    seqLen,
    heads,
    kvHeads: heads,
    headDim: D / heads,
    scale: (D / heads) ** -0.5,
    q: rows(),
    k: rows(),
    v: rows(),
    out: rows(),
    lse_TH: device.floats(T * heads),
  };
  const product = (2 * T * seqLen * D) / 2;
  return [
    {
      name: 'attention forward, 32 × 128 tokens, 4 heads',
      flops: 2 * product,
      rival: 'attention.forward',
      calls: [{ op: 'attention.forward', ...shape }],
    },
    {
      name: 'attention backward',
      flops: 5 * product,
      rival: 'attention.backward',
      calls: [{ op: 'attention.backward', ...shape, dOut: rows(), dq: rows(), dk: rows(), dv: rows() }],
    },
  ];
}

function adamwCase(device: Device): KernelCase {
  const length = 8 * 2 ** 20;
  return {
    name: 'AdamW, 8 Mi weights',
    flops: 0,
    // Weights, two moments and the gradient in; weights and moments out.
    bytes: 7 * 4 * length,
    rival: 'adamw',
    calls: [
      {
        op: 'adamw',
        weights: filled(device, length),
        out: device.floats(length),
        m: device.floats(length),
        v: device.floats(length),
        gradient: filled(device, length),
        gradScale: 1,
        learningRate: 3e-4,
        beta1: 0.9,
        beta2: 0.999,
        eps: 1e-8,
        weightDecay: 0.01,
        correction1: 0.1,
        correction2: 0.001,
      },
    ],
  };
}
