import type { Device, ExactSum, KernelCall } from '@troupe/core';
import { loadDevice, measureBandwidth, measurePeak } from '@troupe/kernels';
import { median } from './median.ts';

/** One operation at the shapes of the job "coarse". */
export interface KernelRow {
  readonly name: string;
  readonly gflop: number;
  readonly milliseconds: number;
  readonly gflopPerSecond: number;
  readonly shareOfPeak: number;
}

const THREADS = 2;
const T = 4096;
const D = 256;
const F = 512;
const E = 16;
const V = 8192;
const G = 8;

const rowBounds = (parts: number): Int32Array =>
  Int32Array.from({ length: parts + 1 }, (_, part) => (T / parts) * part);

function filled(device: Device, length: number): Float32Array {
  const data = device.floats(length) as Float32Array;
  for (let i = 0; i < length; i++) data[i] = ((i * 2654435761) % 1000) / 1000 - 0.5;
  return data;
}

const exactSum = (device: Device, length: number): ExactSum => ({
  values: device.int64s(length),
  overflow: device.ints(1),
});

interface Case {
  readonly name: string;
  readonly flops: number;
  readonly calls: readonly KernelCall[];
}

/** The products of a step, and the exact weight gradient beside a plain product of the same size: what layout-free sums cost. */
function cases(device: Device): readonly Case[] {
  const x = filled(device, T * D);
  const wide = filled(device, T * 2 * F);
  const weight = filled(device, 2 * F * D);
  const out = device.floats(T * 2 * F);
  const gradient = device.floats(2 * F * D);
  const transposed = { x: filled(device, 2 * F * T), weight: filled(device, D * T) };
  const linear = { rows: T, inDim: D, outDim: 2 * F };
  const expertSize = 3 * F * D;
  const experts = filled(device, E * expertSize);
  const counts = new Int32Array(E * G).fill((T * 2) / (E * G));
  const slots = Int32Array.from({ length: 2 * T }, (_, row) => row % T);
  const source = { x_UD: x, slots_N: slots, counts_EG: counts, numGrains: G };
  const group = {
    experts: E,
    dim: D,
    hidden: F,
    activation: 'swiglu',
    weights: experts,
    expertStride: expertSize,
  } as const;
  const saved = device.floats(2 * T * 2 * F);
  const rows = device.floats(2 * T * D);
  const head = filled(device, V * D);
  const targets = Int32Array.from({ length: T }, (_, token) => (token * 31) % V);
  const sums = {
    linear: exactSum(device, 2 * F * D),
    experts: exactSum(device, E * expertSize),
    head: exactSum(device, V * D),
  };
  const product = 2 * T * D * 2 * F;
  const expertProduct = 2 * 2 * T * D * F * 3;
  return [
    {
      name: 'linear forward, 4096×256×1024',
      flops: product,
      calls: [{ op: 'linear.forward', ...linear, x: { data: x }, weight, out: { data: out } }],
    },
    {
      name: 'linear weight gradient, exact sums over 8 grains',
      flops: product,
      calls: [
        {
          op: 'linear.backward.weight',
          ...linear,
          dOut: { data: wide },
          x: { data: x },
          grainStarts: rowBounds(G),
          weightSum: sums.linear,
        },
      ],
    },
    {
      name: 'the same, one grain',
      flops: product,
      calls: [
        {
          op: 'linear.backward.weight',
          ...linear,
          dOut: { data: wide },
          x: { data: x },
          grainStarts: rowBounds(1),
          weightSum: sums.linear,
        },
      ],
    },
    {
      name: 'the same product, free f32 sum',
      flops: product,
      calls: [
        {
          op: 'linear.forward',
          rows: 2 * F,
          inDim: T,
          outDim: D,
          x: { data: transposed.x },
          weight: transposed.weight,
          out: { data: gradient },
        },
      ],
    },
    {
      name: 'experts forward, 16 × 512 rows',
      flops: expertProduct,
      calls: [{ op: 'experts.forward', ...group, sources: [{ ...source, y_ND: rows }], saved }],
    },
    {
      name: 'experts backward, exact sums over 8 grains',
      flops: 2 * expertProduct,
      calls: [
        {
          op: 'experts.backward',
          ...group,
          sources: [{ ...source, dOut_UD: x, dx_ND: rows }],
          saved,
          weightSum: sums.experts,
        },
      ],
    },
    {
      name: 'head and cross entropy, forward and backward, vocab 8192',
      flops: 3 * 2 * T * D * V,
      calls: [
        {
          op: 'head.loss',
          tokens: T,
          dim: D,
          vocab: V,
          x_TD: x,
          head_VD: head,
          targets_T: targets,
          grainStarts: rowBounds(G),
          loss_T: device.floats(T),
          lossSum: device.int64s(1),
          gradScale: 1 / T,
          dx_TD: device.floats(T * D),
          headSum: sums.head,
        },
      ],
    },
  ];
}

const timed = (device: Device, calls: readonly KernelCall[]): Promise<number> =>
  new Promise((resolve, reject) =>
    device.submit(calls, ({ error, kernelMs }) => (error === null ? resolve(kernelMs) : reject(error))),
  );

/** Times the products of a step on the native device, in turn, against the peak measured in the same run. */
export async function benchKernels({
  size,
}: {
  readonly size: 'small' | 'full';
}): Promise<readonly KernelRow[]> {
  const device = await loadDevice({ body: 'native', threads: THREADS });
  const peak = measurePeak(THREADS);
  const all = cases(device);
  const samples = all.map(() => [] as number[]);
  for (let round = 0; round < (size === 'full' ? 25 : 2); round++) {
    for (const [index, { calls }] of all.entries()) samples[index]?.push(await timed(device, calls));
  }
  await device.close();
  return all.map(({ name, flops }, index) => {
    const milliseconds = median(samples[index] ?? []);
    const perSecond = flops / (milliseconds / 1000);
    return {
      name,
      gflop: flops / 1e9,
      milliseconds,
      gflopPerSecond: perSecond / 1e9,
      shareOfPeak: perSecond / peak,
    };
  });
}

export function formatKernels(rows: readonly KernelRow[]): string {
  const bandwidth = (measureBandwidth(THREADS) / 1e9).toFixed(1);
  return [
    `Native device, ${THREADS} threads; medians; share of the register-only FMA peak measured in the same run. A copy loop moves ${bandwidth} GB/s.`,
    '',
    '| operation | GFLOP | ms | GFLOP/s | of peak |',
    '|---|---|---|---|---|',
    ...rows.map(
      (row) =>
        `| ${row.name} | ${row.gflop.toFixed(2)} | ${row.milliseconds.toFixed(2)} | ${row.gflopPerSecond.toFixed(0)} | ${(100 * row.shareOfPeak).toFixed(0)} % |`,
    ),
  ].join('\n');
}
