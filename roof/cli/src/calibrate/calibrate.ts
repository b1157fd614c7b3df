import { availableParallelism, cpus } from 'node:os';
import type { ProfileEvent } from '@troupe/telemetry';
import { loadTopology } from '@troupe/topology';
import { openSimulator, rooflineMs, type CalibratedSetup, type Calibration } from 'troupe';
import { UsageError } from '../errors.ts';
import { linkRate } from './link-rate.ts';
import { profiledRun, type CalibratedJob } from './profiled-run.ts';

/** What is about to be measured: workers that say nothing to each other, or replicas of one run. */
export interface MeasuredSetup {
  readonly threads: number;
  readonly workers: number;
  readonly exchange: boolean;
}

/** One worker with all threads, one with one thread, and as many of one thread as there are cores. */
function setupsOf(cores: number): readonly { readonly threads: number; readonly workers: number }[] {
  if (cores === 1) return [{ threads: 1, workers: 1 }];
  return [
    { threads: cores, workers: 1 },
    { threads: 1, workers: 1 },
    { threads: 1, workers: cores },
  ];
}

/** The topology as one worker that stands alone: of `workers` of them each has its share of the batch. */
function alone(
  { file, set }: CalibratedJob,
  { threads, workers }: { readonly threads: number; readonly workers: number },
): readonly string[] {
  const { batch, grains } = loadTopology(file, { set }).train;
  const share = batch % workers === 0 ? batch / workers : batch;
  const ownGrains = Math.max(1, Math.floor(grains / workers));
  return [
    ...set,
    `train.batch=${share}`,
    `train.grains=${share % ownGrains === 0 ? ownGrains : 1}`,
    'train.microbatches=1',
    'parallel={dp: 1, ep: 1, zero: 0}',
    `machines=[{host: localhost, devices: ["cpu:0/threads=${threads}"]}]`,
    'eval.every=0',
  ];
}

/** Turns of a worker's actors in a step: those of one step more. */
async function turnsOfStep(file: string, set: readonly string[]): Promise<number> {
  const simulator = await openSimulator(loadTopology(file, { set }), { shapesOnly: true });
  const count = async (steps: number): Promise<number> => {
    let turns = 0;
    await simulator.run(
      { seed: 1, steps, faults: [] },
      { observe: ({ node }) => void (turns += node.startsWith('worker/') ? 1 : 0) },
    );
    return turns;
  };
  return (await count(3)) - (await count(2));
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/** What the profiles of workers that ran side by side say of one of them. */
export function fit(
  profiles: readonly ProfileEvent[],
  setup: { readonly threads: number; readonly workers: number },
  turns: number,
): CalibratedSetup {
  const rate = (of: 'peakFlops' | 'bytesPerSecond'): number => {
    const rates = profiles.flatMap((profile) => profile[of] ?? []);
    if (rates.length === 0)
      throw new UsageError(
        'the native kernels are not built, so this machine has no peak to calibrate against',
      );
    return Math.max(...rates) / 1000;
  };
  const rates = { flopsPerMs: rate('peakFlops'), bytesPerMs: rate('bytesPerSecond') };
  const sums = new Map<string, { ms: number; leastMs: number }>();
  for (const { op, ms, flops, bytes } of profiles.flatMap(({ lines }) => lines)) {
    const sum = sums.get(op) ?? { ms: 0, leastMs: 0 };
    sum.ms += ms;
    sum.leastMs += rooflineMs({ flops, bytes }, rates);
    sums.set(op, sum);
  }
  const slowness = Object.fromEntries(
    [...sums].flatMap(([op, { ms, leastMs }]) => (ms > 0 && leastMs > 0 ? [[op, ms / leastMs]] : [])),
  );
  const outsideMs = mean(profiles.map(({ shares }) => shares.eventLoop + shares.idle));
  return { ...setup, ...rates, slowness, turnMs: outsideMs / Math.max(1, turns) };
}

/**
 * Measures what workers of a topology cost on this machine, by short runs of it: what kernels take, and what a turn of an actor does.
 *
 * Workers of one machine share its caches and its memory, so they are measured side by side too, without a word between them; what words
 * cost is then taken from one run of replicas.
 *
 * @param progress - told of each setup before it runs
 */
export async function calibrate(
  job: CalibratedJob,
  numSteps: number,
  progress: (setup: MeasuredSetup) => void = () => {},
): Promise<Calibration> {
  const setups: CalibratedSetup[] = [];
  const cores = availableParallelism();
  for (const setup of setupsOf(cores)) {
    progress({ ...setup, exchange: false });
    const set = alone(job, setup);
    const turns = await turnsOfStep(job.file, set);
    const runs = Array.from({ length: setup.workers }, () => profiledRun(job.file, set, numSteps));
    setups.push(fit(await Promise.all(runs), setup, turns));
  }
  const found: Calibration = {
    version: 1,
    machine: `${cpus()[0]?.model.trim() ?? 'unknown'}, ${cores} cores`,
    job: loadTopology(job.file, { set: job.set }).name,
    date: new Date().toISOString(),
    setups,
  };
  if (cores === 1) return found;
  progress({ threads: 1, workers: cores, exchange: true });
  const insideBytesPerMs = await linkRate(job, found, { cores, numSteps });
  return insideBytesPerMs === null ? found : { ...found, insideBytesPerMs };
}
