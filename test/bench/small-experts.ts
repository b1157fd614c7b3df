import type { Device, Floats, KernelCall } from '@troupe/kernel-set';
import { loadDevice } from '@troupe/kernels';
import { median } from './median.ts';
import { NUM_THREADS } from './python-engines.ts';
import { benchRouting, type RoutingRow } from './routing-cases.ts';

/** Width of the residual stream; experts of F a token meets G = DENSE / F of, so that it meets as much as in a dense FFN of DENSE. */
const D = 256;
const DENSE = 4 * D;
const DENSE_ROWS = 4096;
const DENSE_GRAINS = 8;
/** FLOPs of a row of width 1: two products forward, four backward. */
const FLOPS = 12 * D;

/** So many rows and weights, and the bench fits 1 GiB. */
const MOST_ROWS = 65_536;
const MOST_WEIGHTS = 2 ** 25;

/** A group of experts with equally many rows each. */
export interface SmallExperts {
  readonly experts: number;
  readonly width: number;
  /** Of an expert. */
  readonly rows: number;
}

/** Forward and backward pass with leaves of some rows. */
export interface SmallExpertsCell {
  /** Rows of a leaf; as many as an expert has: one leaf. */
  readonly leaf: number;
  /** Milliseconds, median over rounds. */
  readonly ms: number;
  /** Speed for each useful FLOP, of that of the dense FFN in the same round; median. */
  readonly ofDense: number;
  /** Share of the time that more leaves than one take. */
  readonly leafShare: number;
}

export interface SmallExpertsRow extends SmallExperts {
  readonly cells: readonly SmallExpertsCell[];
}

export interface SmallExpertsFound {
  readonly device: string;
  /** Of the dense FFN, FLOP/s. */
  readonly denseFlops: number;
  readonly rows: readonly SmallExpertsRow[];
  readonly routing: readonly RoutingRow[];
}

function* groups(size: 'small' | 'full'): Generator<SmallExperts> {
  const [experts, widths, rows] =
    size === 'full'
      ? [
          [64, 256, 1024],
          [32, 64, 128, 256],
          [4, 16, 64, 256],
        ]
      : [[64], [32], [4, 16]];
  for (const count of experts)
    for (const width of widths)
      for (const each of rows)
        if (count * each <= MOST_ROWS && 2 * count * width * D <= MOST_WEIGHTS)
          yield { experts: count, width, rows: each };
}

/** Leaves of 1 to 64 rows, and all rows as one. */
const leavesOf = (rows: number): readonly number[] => [...[1, 4, 16, 64].filter((leaf) => leaf < rows), rows];

/** Memory that all cases share: theirs is the beginning of each array. */
function arena(device: Device, rows: number, weights: number, width: number) {
  const filled = (length: number, scale: number): Floats => {
    const data = device.floats(length);
    const values = new Float32Array(length);
    for (let i = 0; i < length; i++) values[i] = (((i * 2654435761) % 1000) / 500 - 1) * scale;
    device.write(data, values);
    return data;
  };
  return {
    x: filled(rows * D, 1),
    dOut: filled(rows * D, 1),
    y: device.floats(rows * D),
    dx: device.floats(rows * D),
    saved: device.floats(rows * width),
    weights: filled(weights, 0.1),
    gradient: device.floats(weights),
    overflow: device.ints(1),
  };
}

/** Passes of a group: forward, and backward with leaves of any length. */
function passes(device: Device, memory: ReturnType<typeof arena>, { experts, width, rows }: SmallExperts) {
  const size = 2 * D * width;
  const numRows = experts * rows;
  const tokens = Math.max(rows, Math.ceil((numRows * width) / DENSE));
  const group = {
    experts,
    dim: D,
    hidden: width,
    activation: 'relu',
    weights: memory.weights.subarray(0, experts * size),
    expertStride: size,
    saved: memory.saved.subarray(0, numRows * width),
  } as const;
  const slots_N = device.upload(Int32Array.from({ length: numRows }, (_, row) => row % tokens));
  const source = (leaf: number) => ({
    x_UD: memory.x.subarray(0, tokens * D),
    slots_N,
    counts_EG: device.upload(new Int32Array((experts * rows) / leaf).fill(leaf)),
    numGrains: rows / leaf,
  });
  const weightSum = { gradient: memory.gradient.subarray(0, experts * size), overflow: memory.overflow };
  const forward: KernelCall = {
    op: 'experts.forward',
    ...group,
    sources: [{ ...source(rows), y_ND: memory.y.subarray(0, numRows * D) }],
  };
  const backward = (leaf: number): KernelCall => ({
    op: 'experts.backward',
    ...group,
    sources: [
      {
        ...source(leaf),
        dOut_UD: memory.dOut.subarray(0, tokens * D),
        dx_ND: memory.dx.subarray(0, numRows * D),
      },
    ],
    weightSum,
  });
  return { forward, backward };
}

const timed = (device: Device, call: KernelCall): Promise<number> =>
  new Promise((resolve, reject) =>
    device.submit([call], ({ error, kernelMs }) => (error === null ? resolve(kernelMs) : reject(error))),
  );

/** A case in turn with the dense FFN: one warm-up, then rounds. */
async function timeCase(
  device: Device,
  memory: ReturnType<typeof arena>,
  shape: SmallExperts,
  rounds: number,
): Promise<{ readonly row: SmallExpertsRow; readonly denseMs: readonly number[] }> {
  const dense = passes(device, memory, { experts: 1, width: DENSE, rows: DENSE_ROWS });
  const denseCalls = [dense.forward, dense.backward(DENSE_ROWS / DENSE_GRAINS)];
  const { forward, backward } = passes(device, memory, shape);
  const leaves = leavesOf(shape.rows).map((leaf) => ({ leaf, call: backward(leaf), ms: [] as number[] }));
  const [denseMs, forwardMs]: [number[], number[]] = [[], []];
  for (let round = -1; round < rounds; round++) {
    let denseTime = 0;
    for (const call of denseCalls) denseTime += await timed(device, call);
    const forwardTime = await timed(device, forward);
    for (const { call, ms } of leaves) {
      const backwardTime = await timed(device, call);
      if (round >= 0) ms.push(backwardTime);
    }
    if (round < 0) continue;
    denseMs.push(denseTime);
    forwardMs.push(forwardTime);
  }
  const oneLeaf = leaves.at(-1)?.ms ?? [];
  const denseFlops = FLOPS * DENSE_ROWS * DENSE;
  const flops = FLOPS * shape.experts * shape.rows * shape.width;
  const cells = leaves.map(({ leaf, ms }): SmallExpertsCell => {
    const all = ms.map((each, round) => each + (forwardMs[round] ?? Number.NaN));
    return {
      leaf,
      ms: median(all),
      ofDense: median(all.map((each, round) => (denseMs[round] ?? Number.NaN) / denseFlops / (each / flops))),
      leafShare: median(
        all.map((each, round) => ((ms[round] ?? Number.NaN) - (oneLeaf[round] ?? Number.NaN)) / each),
      ),
    };
  });
  return { row: { ...shape, cells }, denseMs };
}

/**
 * Times experts of 32 to 256 hidden units, forward and backward, against a dense FFN of which a token meets as much, for each useful
 * FLOP; what shorter leaves cost; and whether routing is linear in what it looks at.
 *
 * @param rounds - of each case; the dense FFN takes part in every one
 */
export async function benchSmallExperts({
  size,
  rounds = size === 'full' ? 7 : 1,
}: {
  readonly size: 'small' | 'full';
  readonly rounds?: number;
}): Promise<SmallExpertsFound> {
  const device = await loadDevice({ body: 'native', threads: NUM_THREADS });
  try {
    const shapes = [...groups(size)];
    const most = (of: (shape: SmallExperts) => number): number => Math.max(...shapes.map(of));
    const memory = arena(
      device,
      Math.max(
        DENSE_ROWS,
        most(({ experts, rows }) => experts * rows),
      ),
      Math.max(
        2 * D * DENSE,
        most(({ experts, width }) => 2 * D * experts * width),
      ),
      DENSE,
    );
    const rows: SmallExpertsRow[] = [];
    const denseMs: number[] = [];
    for (const shape of shapes) {
      const found = await timeCase(device, memory, shape, rounds);
      rows.push(found.row);
      denseMs.push(...found.denseMs);
    }
    const denseFlops = (FLOPS * DENSE_ROWS * DENSE) / (median(denseMs) / 1000);
    return { device: device.info.name, denseFlops, rows, routing: await benchRouting(device, size, rounds) };
  } finally {
    await device.close();
  }
}
