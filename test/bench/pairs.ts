import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Checkout } from './checkout.ts';
import { runEngine } from './engine-run.ts';
import { interleave } from './interleave.ts';
import { median } from './median.ts';
import { pairedRatio, type PairedRatio } from './paired-ratio.ts';
import type { SimulationCost } from './pairs-simulation.ts';
import { weakDocument } from './scaling.ts';

/** What one run of a workload cost, by the name of the figure; less is better. */
type Costs = Readonly<Record<string, number>>;

interface Workload {
  /** Runs that are not worth more turns than this. */
  readonly mostPairs?: number;
  readonly run: (checkout: Checkout) => Promise<Costs>;
}

/** One figure of a workload, old against new. */
export interface PairsRow {
  readonly workload: string;
  readonly figure: string;
  readonly old: number;
  readonly new: number;
  readonly numPairs: number;
  /** Old over new, of costs: above 1, the new one is better. */
  readonly ratio: PairedRatio;
  /** The new one is no worse: the median ratio is at least 0.98, or its interval reaches 1. */
  readonly holds: boolean;
}

type Workers = 1 | 2;

const layouts: Readonly<Record<Workers, readonly string[]>> = {
  1: ['parallel={dp: 1, ep: 1, zero: 0}', 'machines=[{host: localhost, devices: ["cpu:0/threads=2"]}]'],
  2: ['parallel={dp: 2, ep: 2, zero: 1}', 'machines=[{host: localhost, devices: ["cpu:0", "cpu:1"]}]'],
};

async function launched(
  { bin }: Checkout,
  topology: string,
  steps: number,
  set: readonly string[],
): ReturnType<typeof runEngine> {
  return runEngine({
    name: topology,
    ours: true,
    command: [
      process.execPath,
      bin,
      'launch',
      topology,
      '--json',
      '--no-checkpoint',
      '--stop-after',
      String(steps),
      ...[...set, 'eval.every=0'].flatMap((each) => ['--set', each]),
    ],
  });
}

/** Steps of a run before those that count. */
const WARM_UP_STEPS = 2;

const steps = (topology: string, workers: Workers, numSteps: number): Workload => ({
  run: async (checkout) => {
    const run = await launched(checkout, topology, WARM_UP_STEPS + numSteps, layouts[workers]);
    if ('refused' in run) throw new Error(`${checkout.folder}: ${run.refused}`);
    return {
      's a step': median(run.stepSeconds.slice(WARM_UP_STEPS)),
      'processor s a step': run.stepProcessorSeconds,
    };
  },
});

const startUp: Workload = {
  run: async (checkout) => {
    const run = await launched(checkout, 'tiny', 1, layouts[2]);
    if ('refused' in run) throw new Error(`${checkout.folder}: ${run.refused}`);
    return {
      's to the opening of step 1': run.startupSeconds,
      's to its end': run.startupSeconds + (run.stepSeconds[0] ?? Number.NaN),
    };
  },
};

const program = fileURLToPath(new URL('pairs-simulation.js', import.meta.url));

/** In a process of its own, with the library of the checkout. */
async function simulated(
  { library }: Checkout,
  devices: number,
  numSteps: number,
  turns: number,
): Promise<SimulationCost> {
  const folder = await mkdtemp(join(tmpdir(), 'troupe-pairs-'));
  try {
    const file = join(folder, 'topology.yaml');
    await writeFile(file, JSON.stringify(weakDocument(devices, numSteps)));
    const args = [program, library, file, String(numSteps), String(turns)];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    return JSON.parse(stdout) as SimulationCost;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const events = (devices: number, numSteps: number, turns: number): Workload => ({
  run: async (checkout) => {
    const { seconds, numEvents } = await simulated(checkout, devices, numSteps, turns);
    return { 'processor µs an event': (1e6 * seconds) / numEvents, 'processor s a step': seconds / numSteps };
  },
});

const memory = (devices: number, numSteps: number): Workload => ({
  mostPairs: 1,
  run: async (checkout) => {
    const { peakBytes, seconds } = await simulated(checkout, devices, numSteps, 1);
    return { 'MB at most': peakBytes / 1e6, 'processor s in all': seconds };
  },
});

const job = (name: string): string =>
  fileURLToPath(new URL(`../../../test/bench/jobs/${name}.yaml`, import.meta.url));

/** By the name that the command line gives them; a name is a group where it is the beginning of several. */
export const workloads: Readonly<Record<string, Workload>> = {
  'coarse 1 worker': steps(job('coarse'), 1, 6),
  'coarse 2 workers': steps(job('coarse'), 2, 6),
  'fine 1 worker': steps(job('fine'), 1, 6),
  'fine 2 workers': steps(job('fine'), 2, 6),
  'quickstart 1 worker': steps('quickstart', 1, 30),
  'quickstart 2 workers': steps('quickstart', 2, 30),
  'start-up': startUp,
  'simulator 8 devices': events(8, 60, 3),
  'simulator 64 devices': events(64, 5, 3),
  'simulator 256 devices': events(256, 2, 2),
  'memory 4096 devices': memory(4096, 2),
};

/** Runs that take seconds, to see that pairs run. */
export const smallWorkloads: Readonly<Record<string, Workload>> = {
  'start-up': startUp,
  'simulator 8 devices': events(8, 1, 1),
  'memory 8 devices': memory(8, 1),
};

const LEAST_RATIO = 0.98;

function rowsOf(workload: string, olds: readonly Costs[], news: readonly Costs[]): readonly PairsRow[] {
  return Object.keys(olds[0] ?? {}).map((figure) => {
    const of = (runs: readonly Costs[]): readonly number[] => runs.map((run) => run[figure] ?? Number.NaN);
    const [before, after] = [of(olds), of(news)];
    const ratio = pairedRatio(before.map((cost, pair) => cost / (after[pair] ?? Number.NaN)));
    return {
      workload,
      figure,
      old: median(before),
      new: median(after),
      numPairs: before.length,
      ratio,
      holds: ratio.median >= LEAST_RATIO || (ratio.low <= 1 && ratio.high >= 1),
    };
  });
}

/** Runs each workload with the old and the new build in turn; which of the two begins a pair alternates. */
export async function benchPairs(options: {
  readonly old: Checkout;
  readonly new: Checkout;
  readonly numPairs: number;
  readonly workloads: Readonly<Record<string, Workload>>;
  readonly report: (rows: readonly PairsRow[]) => void;
}): Promise<void> {
  for (const [name, { run, mostPairs = Number.POSITIVE_INFINITY }] of Object.entries(options.workloads)) {
    const numPairs = Math.min(options.numPairs, mostPairs);
    const [old, now] = await interleave([options.old, options.new], numPairs, run);
    options.report(rowsOf(name, old?.results ?? [], now?.results ?? []));
  }
}
