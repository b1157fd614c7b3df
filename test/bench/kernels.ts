import type { Device, KernelCall, Precision } from '@troupe/kernel-set';
import { loadDevice, measureBandwidth, measurePeak } from '@troupe/kernels';
import { kernelCases } from './kernel-cases.ts';
import { openKernelRival } from './kernel-rival.ts';
import { median } from './median.ts';
import { NUM_THREADS } from './python-engines.ts';
import type { Python } from './python.ts';
import type { Section } from './results-page.ts';

/** One operation at the shapes of the job "coarse". */
export interface KernelRow {
  readonly name: string;
  readonly milliseconds: number;
  readonly millisecondsMin: number;
  readonly gflop: number;
  /** Of what bounds it: the peak of the precision, or the bandwidth of a copy. */
  readonly share: number;
  readonly boundBy: 'peak' | 'bandwidth';
  /** Median of PyTorch; null without one, or where it has nothing alike. */
  readonly rivalMilliseconds: number | null;
}

export interface KernelRace {
  readonly precision: Precision;
  readonly device: string;
  readonly peakFlops: number;
  readonly bytesPerSecond: number;
  readonly isRaced: boolean;
  readonly rows: readonly KernelRow[];
}

const ROUNDS_PER_PEAK = 5;

const timed = (device: Device, calls: readonly KernelCall[]): Promise<number> =>
  new Promise((resolve, reject) =>
    device.submit(calls, ({ error, kernelMs }) => (error === null ? resolve(kernelMs) : reject(error))),
  );

/** Times the work of a step on the native device, in turn with PyTorch, against the peak and bandwidth of the same run. */
export async function benchKernels({
  size,
  precision,
  python,
}: {
  readonly size: 'small' | 'full';
  readonly precision: Precision;
  readonly python: Python | null;
}): Promise<KernelRace> {
  const device = await loadDevice({ body: 'native', threads: NUM_THREADS });
  const rival = python === null ? null : openKernelRival(python, precision);
  // Measured again and again, and the largest taken: a busy moment would flatter every operation.
  const peaks: number[] = [];
  const bandwidths: number[] = [];
  const all = kernelCases(device, precision).map((each) => ({
    ...each,
    ours: [] as number[],
    theirs: [] as number[],
  }));
  try {
    // The first round warms up.
    for (let round = 0; round <= (size === 'full' ? 25 : 1); round++) {
      if (round % ROUNDS_PER_PEAK === 0) {
        peaks.push(measurePeak(NUM_THREADS, precision));
        bandwidths.push(measureBandwidth(NUM_THREADS));
      }
      for (const { calls, rival: operation, ours, theirs } of all) {
        const spentMs = await timed(device, calls);
        const rivalMs = operation === undefined ? undefined : await rival?.time(operation);
        if (round === 0) continue;
        ours.push(spentMs);
        if (rivalMs !== undefined) theirs.push(rivalMs);
      }
    }
  } finally {
    rival?.close();
    await device.close();
  }
  const [peakFlops, bytesPerSecond] = [Math.max(...peaks), Math.max(...bandwidths)];
  const rows = all.map(({ name, flops, bytes, ours, theirs }): KernelRow => {
    const milliseconds = median(ours);
    const seconds = milliseconds / 1000;
    return {
      name,
      milliseconds,
      millisecondsMin: Math.min(...ours),
      gflop: flops / 1e9,
      share: bytes === undefined ? flops / seconds / peakFlops : bytes / seconds / bytesPerSecond,
      boundBy: bytes === undefined ? 'peak' : 'bandwidth',
      rivalMilliseconds: theirs.length === 0 ? null : median(theirs),
    };
  });
  return { precision, device: device.info.name, peakFlops, bytesPerSecond, isRaced: rival !== null, rows };
}

/** A race as a section of the page; with a rival also its chart. */
export function kernelSection({
  precision,
  device,
  peakFlops,
  bytesPerSecond,
  isRaced,
  rows,
}: KernelRace): Section {
  const title = `Kernels, ${precision}`;
  const text = [
    `${device}; medians and minima of runs in turn with PyTorch, each in its own process. Peak of ${precision} products on registers, measured in the same run: ${(peakFlops / 1e9).toFixed(0)} GFLOP/s; a copy loop moves ${(bytesPerSecond / 1e9).toFixed(1)} GB/s. PyTorch's rows lie sorted by expert before its clock starts${precision === 'bf16' ? ', and its operands are bf16 already; ours are rounded inside' : ''}.`,
    '',
    '| operation | GFLOP | ms, median (min) | GFLOP/s | share of | PyTorch ms | PyTorch / Troupe |',
    '|---|---|---|---|---|---|---|',
    ...rows.map(({ name, gflop, milliseconds, millisecondsMin, share, boundBy, rivalMilliseconds }) =>
      [
        `| ${name}`,
        gflop === 0 ? '–' : gflop.toFixed(2),
        `${milliseconds.toFixed(2)} (${millisecondsMin.toFixed(2)})`,
        gflop === 0 ? '–' : (gflop / (milliseconds / 1000)).toFixed(0),
        `${(100 * share).toFixed(0)} % of the ${boundBy}`,
        rivalMilliseconds === null ? '–' : rivalMilliseconds.toFixed(2),
        `${rivalMilliseconds === null ? '–' : (rivalMilliseconds / milliseconds).toFixed(2)} |`,
      ].join(' | '),
    ),
    ...(isRaced ? [] : ['', 'No --python was given, so nothing else was raced.']),
  ].join('\n');
  if (!isRaced) return { title, text };
  const bars = rows.flatMap(({ name, milliseconds, rivalMilliseconds }) =>
    rivalMilliseconds === null
      ? []
      : [{ label: name, ours: true, values: [{ value: rivalMilliseconds / milliseconds }] }],
  );
  return {
    title,
    text,
    chart: {
      file: `kernels-${precision}.svg`,
      title: `Kernels, ${precision}: how many times faster than PyTorch`,
      panels: [{ title: 'PyTorch time / Troupe time (more is better; 1: alike)', digits: 2 }],
      bars,
    },
  };
}
