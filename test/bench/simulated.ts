import { readFile } from 'node:fs/promises';
import { loadTopology } from '@troupe/topology';
import { openSimulator, parseCalibration, type Calibration } from 'troupe';
import { benchJob, type BenchJob } from './bench-job.ts';
import { launchCommand, withCalibration } from './calibrated.ts';
import { runEngine } from './engine-run.ts';
import { interleave } from './interleave.ts';
import { median } from './median.ts';

/** Steps of a run before those that count. */
const WARM_UP_STEPS = 2;

const two = (ep: number): readonly string[] => [
  `parallel={dp: 2, ep: ${ep}, zero: 1}`,
  'machines=[{host: localhost, devices: ["cpu:0", "cpu:1"]}]',
];
const one = (threads: number): readonly string[] => [
  `machines=[{host: localhost, devices: ["cpu:0/threads=${threads}"]}]`,
];

/** What is simulated, and then run. */
const layouts: readonly { readonly name: string; readonly set: readonly string[] }[] = [
  { name: 'one worker, two threads', set: one(2) },
  { name: 'one worker, one thread', set: one(1) },
  { name: 'two workers of one thread, dp 2, ep 2', set: two(2) },
  { name: 'two workers of one thread, dp 2, ep 1', set: two(1) },
];

/** A layout's step as it was measured and as it was simulated, milliseconds. */
export interface SimulatedRow {
  readonly layout: string;
  readonly measuredMs: number;
  readonly measuredMinMs: number;
  readonly simulatedMs: number;
  /** Of the simulated time over the measured one. */
  readonly error: number;
}

/** Median time of the steps behind the warm-up, in virtual time. Real arithmetic: what a router chooses decides what experts cost. */
async function simulatedMs(
  job: BenchJob,
  set: readonly string[],
  calibration: Calibration,
  numSteps: number,
): Promise<number> {
  const topology = loadTopology(job.file, { set: [...job.overrides, ...set] });
  const simulator = await openSimulator(topology, { calibration });
  const run = await simulator.run({ seed: 1, steps: numSteps, faults: [] });
  const steps = run.events.flatMap((event) =>
    event.event === 'step' && event.step > WARM_UP_STEPS
      ? [(1000 * event.tokens) / event.tokensPerSecond]
      : [],
  );
  return median(steps);
}

/** Simulates steps of four layouts under a calibration of the same minute, and runs them. */
export async function benchSimulated({
  size,
}: {
  readonly size: 'small' | 'full';
}): Promise<readonly SimulatedRow[]> {
  const [numRounds, numSteps] = size === 'full' ? [3, 8] : [1, 3];
  const job = benchJob('coarse', size);
  const calibration = await withCalibration(job, size === 'full' ? 6 : 1, async (path) =>
    parseCalibration(JSON.parse(await readFile(path, 'utf8')), path),
  );
  const measured = await interleave(layouts, numRounds, async ({ name, set }) => {
    const run = await runEngine({ name, ours: true, command: launchCommand(job, set, numSteps) });
    if ('refused' in run) throw new Error(run.refused);
    return run.stepSeconds.slice(WARM_UP_STEPS).map((seconds) => 1000 * seconds);
  });
  const rows: SimulatedRow[] = [];
  for (const { rival, results } of measured) {
    const all = results.flat();
    const [measuredMs, simulated] = [median(all), await simulatedMs(job, rival.set, calibration, numSteps)];
    rows.push({
      layout: rival.name,
      measuredMs,
      measuredMinMs: Math.min(...all),
      simulatedMs: simulated,
      error: simulated / measuredMs - 1,
    });
  }
  return rows;
}

export function formatSimulated(rows: readonly SimulatedRow[]): string {
  const lines = rows.map(({ layout, measuredMs, measuredMinMs, simulatedMs: ms, error }) =>
    [
      layout,
      `${measuredMs.toFixed(0)} (${measuredMinMs.toFixed(0)})`,
      ms.toFixed(0),
      `${error >= 0 ? '+' : ''}${(100 * error).toFixed(1)} %`,
    ].join(' | '),
  );
  return [
    'Job coarse. Calibrated by `troupe bench --calibrate` in the same run, on workers that stand alone or side by side and say nothing to each other; what',
    'two workers exchange is predicted. Measured: steps of fresh processes, in turn, between two lines of output.',
    '',
    '| layout | measured ms, median (least) | simulated ms | error |',
    '|---|---|---|---|',
    ...lines.map((line) => `| ${line} |`),
  ].join('\n');
}
