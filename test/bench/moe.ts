import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Device, Floats, KernelCall } from '@troupe/kernel-set';
import { loadDevice, measurePeak, nativeIsas } from '@troupe/kernels';
import type { Precision } from './bench-job.ts';
import { interleave } from './interleave.ts';
import { median } from './median.ts';

/** Rows of each of the 64 experts: 20 to 120, 4,096 in all. Those of the yardstick, which has them in `toks.json`. */
const rowsOfExpert = [
  67, 48, 39, 91, 99, 95, 61, 108, 61, 112, 48, 93, 58, 20, 48, 83, 70, 111, 84, 39, 48, 68, 71, 20, 24, 41,
  56, 27, 20, 85, 24, 62, 44, 77, 111, 37, 29, 20, 57, 23, 98, 50, 108, 102, 73, 45, 52, 48, 67, 109, 73, 78,
  105, 98, 66, 53, 113, 46, 26, 49, 76, 88, 33, 61,
];
const E = rowsOfExpert.length;
const N = rowsOfExpert.reduce((sum, rows) => sum + rows, 0);
const D = 256;
const F = 128;
/** Two products forward, four backward. */
const FLOPS = 2 * 6 * N * D * F;

/** Why a yardstick cannot be raced; one sentence for the user. */
export class YardstickError extends Error {}

interface Rival {
  readonly engine: 'troupe' | 'yardstick';
  readonly threads: number;
  readonly precision: Precision;
}

/** Forward and backward pass of one group of experts, milliseconds. */
export interface MoeRow extends Rival {
  /** The best of all rounds, and the median of the rounds' medians. */
  readonly least: number;
  readonly middle: number;
  /** Share of the f32 peak of as many threads, of the median. */
  readonly shareOfPeak: number;
}

interface Round {
  readonly least: number;
  readonly middle: number;
}

/** The passes as two calls of one list; one grain, GELU, gradients stored: what the yardstick computes. */
function passes(device: Device, precision: Precision): readonly KernelCall[] {
  const draw = (length: number, scale: number): Floats => {
    const data = device.floats(length);
    const values = new Float32Array(length);
    for (let i = 0; i < length; i++) values[i] = (((i * 2654435761) % 1000) / 500 - 1) * scale;
    device.write(data, values);
    return data;
  };
  const size = 2 * D * F;
  const source = {
    x_UD: draw(N * D, 1),
    counts_EG: device.upload(Int32Array.from(rowsOfExpert)),
    numGrains: 1,
  };
  const group = {
    experts: E,
    dim: D,
    hidden: F,
    activation: 'gelu-tanh',
    weights: draw(E * size, 0.1),
    expertStride: size,
    saved: precision === 'bf16' ? device.halves(N * F) : device.floats(N * F),
    precision,
  } as const;
  const weightSum = { gradient: device.floats(E * size), overflow: device.ints(1) };
  return [
    { op: 'experts.forward', ...group, sources: [{ ...source, y_ND: device.floats(N * D) }] },
    {
      op: 'experts.backward',
      ...group,
      sources: [{ ...source, dOut_UD: draw(N * D, 1), dx_ND: device.floats(N * D) }],
      weightSum,
    },
  ];
}

/** Milliseconds from the submission to its completion, seen from JavaScript. */
const timed = (device: Device, calls: readonly KernelCall[]): Promise<number> =>
  new Promise((resolve, reject) => {
    const start = performance.now();
    device.submit(calls, ({ error }) =>
      error === null ? resolve(performance.now() - start) : reject(error),
    );
  });

async function timeTroupe({ threads, precision }: Rival, samples: number): Promise<Round> {
  const device = await loadDevice({ body: 'native', threads });
  try {
    const calls = passes(device, precision);
    const times: number[] = [];
    for (let i = -2; i < samples; i++) {
      const time = await timed(device, calls);
      if (i >= 0) times.push(time);
    }
    return { least: Math.min(...times), middle: median(times) };
  } finally {
    await device.close();
  }
}

/** What the yardstick says of a case: medians and minima of samples of several passes each, microseconds. */
async function timeYardstick({ threads, precision }: Rival, program: string): Promise<Round> {
  const { stdout } = await promisify(execFile)(
    program,
    ['yardstick', String(threads), ...(precision === 'bf16' ? ['bf16'] : [])],
    { env: { ...process.env, ONLY_MOE: '1', HUGE: '1' } },
  );
  for (const line of stdout.split('\n').filter((text) => text.startsWith('{'))) {
    const { what, us, min_us: least } = JSON.parse(line) as { what: string; us?: number; min_us?: number };
    if (what === 'MoE fwd+bwd' && us !== undefined && least !== undefined)
      return { least: least / 1000, middle: us / 1000 };
  }
  throw new YardstickError(`${program} printed no time of "MoE fwd+bwd"`);
}

/**
 * Times the grouped FFN of 64 experts with few and uneven rows, forward and backward, through the device from JavaScript.
 *
 * @param yardstick - a folder with `build/b_mk`, which takes turns with ours on the same shapes; its `build.sh` makes it
 * @throws {YardstickError} when there is no such program
 */
export async function benchMoe({
  size,
  precisions,
  yardstick,
}: {
  readonly size: 'small' | 'full';
  readonly precisions: readonly Precision[];
  readonly yardstick?: string;
}): Promise<readonly MoeRow[]> {
  const program = yardstick === undefined ? null : join(yardstick, 'build', 'b_mk');
  if (program !== null)
    await access(program, constants.X_OK).catch((cause: unknown) => {
      throw new YardstickError(`--yardstick: ${program} cannot be run; build.sh beside it makes it`, {
        cause,
      });
    });
  // The yardstick has bf16 kernels for `vdpbf16ps` alone: on another CPU it would compute in f32 and call it bf16.
  const races = (precision: Precision): boolean =>
    program !== null && (precision === 'f32' || nativeIsas().includes('avx512bf16'));
  const rivals = precisions.flatMap((precision) =>
    [1, 2].flatMap((threads): Rival[] => [
      { engine: 'troupe', threads, precision },
      ...(races(precision) ? [{ engine: 'yardstick', threads, precision } as const] : []),
    ]),
  );
  const peaks = new Map([1, 2].map((threads) => [threads, measurePeak(threads)]));
  const [rounds, samples] = size === 'full' ? [5, 40] : [1, 2];
  const timings = await interleave(rivals, rounds, (rival) =>
    rival.engine === 'yardstick' && program !== null
      ? timeYardstick(rival, program)
      : timeTroupe(rival, samples),
  );
  return timings.map(({ rival, results }) => {
    const middle = median(results.map((round) => round.middle));
    const perSecond = FLOPS / (middle / 1000);
    return {
      ...rival,
      least: Math.min(...results.map((round) => round.least)),
      middle,
      shareOfPeak: perSecond / (peaks.get(rival.threads) ?? Number.NaN),
    };
  });
}

export function formatMoe(rows: readonly MoeRow[]): string {
  const raced = rows.some(({ engine }) => engine === 'yardstick');
  const inBf16 = rows.filter(({ precision }) => precision === 'bf16');
  return [
    `Experts forward and backward, ${E} experts, ${N} rows in all (20 to 120 each), D ${D}, F ${F}, GELU; ours from submission to completion in JavaScript. Rounds take turns; the share is of the f32 peak measured in the same run.`,
    ...(raced ? [] : ['', 'No `--yardstick DIR` was given: our rows alone.']),
    ...(raced && inBf16.length > 0 && inBf16.every(({ engine }) => engine === 'troupe')
      ? ['', "The yardstick's bf16 kernels need `vdpbf16ps`, which this CPU lacks: our bf16 rows alone."]
      : []),
    '',
    '| precision | threads | engine | least ms | median ms | GFLOP/s | of f32 peak |',
    '|---|---|---|---|---|---|---|',
    ...rows.map(({ precision, threads, engine, least, middle, shareOfPeak }) =>
      [
        '',
        precision,
        threads,
        engine,
        least.toFixed(2),
        middle.toFixed(2),
        (FLOPS / middle / 1e6).toFixed(0),
        `${(100 * shareOfPeak).toFixed(0)} %`,
        '',
      ]
        .join(' | ')
        .trim(),
    ),
  ].join('\n');
}
