import { launchCommand, runTroupe, withCalibration } from './calibrated.ts';
import { runEngine } from './engine-run.ts';
import { interleave } from './interleave.ts';
import { median } from './median.ts';

/** Steps of a run before those that count. */
const WARM_UP_STEPS = 2;

const machine = (...devices: readonly string[]): string =>
  `machines=[{host: localhost, devices: [${devices.map((device) => `"${device}"`).join(', ')}]}]`;

/** A way to divide a job over two cores. */
interface Division {
  readonly name: string;
  readonly set: readonly string[];
}

const two = (name: string, parallel: string, microbatches = 1): Division => ({
  name,
  set: [machine('cpu:0', 'cpu:1'), `parallel={${parallel}}`, `train.microbatches=${microbatches}`],
});

const divisions: readonly Division[] = [
  { name: 'one worker, two threads', set: [machine('cpu:0/threads=2'), 'parallel={}'] },
  { name: 'one worker, one thread', set: [machine('cpu:0'), 'parallel={}'] },
  two('dp 2', 'dp: 2'),
  two('dp 2, ep 2', 'dp: 2, ep: 2'),
  two('dp 2, ZeRO 3, two microbatches', 'dp: 2, zero: 3', 2),
  two('pp 2, four microbatches', 'pp: 2, dp: 1', 4),
  two('pp 2, zero-bubble, four microbatches', 'pp: 2, dp: 1, pipeline: zero-bubble', 4),
  two('tp 2', 'tp: 2, dp: 1'),
  {
    name: 'one worker, one thread, optimizer on its host',
    set: [machine('cpu:0'), 'parallel={offload: optimizer}'],
  },
];

/** A division's step as `plan --calibration` predicts it and as it was measured, milliseconds. */
export interface PredictionRow {
  readonly job: string;
  readonly division: string;
  readonly predictedMs: number;
  readonly measuredMs: number;
  readonly measuredMinMs: number;
  /** Of the predicted time over the measured one. */
  readonly error: number;
}

/** Presets; what happens between steps is no part of one. */
const jobOf = (file: string) => ({ file, overrides: ['eval.every=0'] });

/** The step time that `troupe plan` prints. */
async function predictedMs(
  job: ReturnType<typeof jobOf>,
  { set }: Division,
  calibration: string,
): Promise<number> {
  const overrides = [...job.overrides, ...set].flatMap((each) => ['--set', each]);
  const args = ['plan', job.file, '--json', '--calibration', calibration, ...overrides];
  const { time } = JSON.parse(await runTroupe(args)) as { readonly time: { readonly stepSeconds: number } };
  return 1000 * time.stepSeconds;
}

/** Predicts steps of presets under a calibration of the same minutes, and runs them. */
export async function benchPrediction({
  size,
}: {
  readonly size: 'small' | 'full';
}): Promise<readonly PredictionRow[]> {
  const isSmall = size === 'small';
  const [files, chosen] = isSmall ? [['tiny'], divisions.slice(2, 4)] : [['tiny', 'quickstart'], divisions];
  const [numRounds, numSteps] = isSmall ? [1, 2] : [3, 16];
  const rows: PredictionRow[] = [];
  for (const file of files) {
    const job = jobOf(file);
    await withCalibration(job, isSmall ? 1 : 8, async (path) => {
      const measured = await interleave(chosen, numRounds, async ({ name, set }) => {
        const command = launchCommand(job, set, WARM_UP_STEPS + numSteps);
        const run = await runEngine({ name, ours: true, command });
        if ('refused' in run) throw new Error(`${file}, ${name}: ${run.refused}`);
        return run.stepSeconds.slice(WARM_UP_STEPS).map((seconds) => 1000 * seconds);
      });
      for (const { rival, results } of measured) {
        const all = results.flat();
        const [predicted, measuredMs] = [await predictedMs(job, rival, path), median(all)];
        rows.push({
          job: file,
          division: rival.name,
          predictedMs: predicted,
          measuredMs,
          measuredMinMs: Math.min(...all),
          error: predicted / measuredMs - 1,
        });
      }
    });
  }
  return rows;
}

const percent = (share: number): string => `${share >= 0 ? '+' : ''}${(100 * share).toFixed(1)} %`;

export function formatPrediction(rows: readonly PredictionRow[]): string {
  const lines = rows.map(({ job, division, predictedMs: predicted, measuredMs, measuredMinMs, error }) =>
    [
      job,
      division,
      predicted.toFixed(1),
      `${measuredMs.toFixed(1)} (${measuredMinMs.toFixed(1)})`,
      percent(error),
    ].join(' | '),
  );
  const largest = rows.reduce((most, { error }) => (Math.abs(error) > Math.abs(most) ? error : most), 0);
  return [
    '`troupe plan --calibration` against real runs of the presets on two cores. Calibrated by `troupe bench --calibrate` in the same run, on workers that stand alone or side by side and say nothing to each other; rows at even load. Measured: steps of fresh processes, in turn, between two lines of output.',
    '',
    '| job | division | predicted ms | measured ms, median (least) | error |',
    '|---|---|---|---|---|',
    ...lines.map((line) => `| ${line} |`),
    '',
    `Largest error: ${percent(largest)}.`,
  ].join('\n');
}
