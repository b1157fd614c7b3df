import { fileURLToPath } from 'node:url';
import type { BenchJob, Precision } from './bench-job.ts';
import type { Engine } from './engine-run.ts';

const bin = fileURLToPath(new URL('../../../roof/troupe/bin/troupe.js', import.meta.url));

const twoWorkers = [
  'parallel.dp=2',
  'parallel.ep=2',
  'parallel.zero=1',
  'machines=[{host: localhost, devices: ["cpu:0", "cpu:1"]}]',
];
const balanced = ['model.moe.router.choice=balanced'];

/**
 * Layouts of a job through the shipped command: one worker with two threads, and for `coarse` also two workers and routing
 * that is forced to be even, which show what exchange and skew cost.
 */
export function troupeEngines(job: BenchJob, precision: Precision, numSteps: number): readonly Engine[] {
  const engine = (name: string, overrides: readonly string[]): Engine => ({
    name,
    ours: true,
    command: [
      process.execPath,
      bin,
      'launch',
      job.file,
      '--json',
      '--no-checkpoint',
      '--stop-after',
      String(numSteps),
      ...[...job.overrides, `train.precision=${precision}`, ...overrides].flatMap((each) => ['--set', each]),
    ],
  });
  const one = engine('Troupe, one worker', []);
  if (job.name !== 'coarse') return [one];
  return [
    one,
    engine('Troupe, two workers', twoWorkers),
    engine('Troupe, one worker, even load', balanced),
    engine('Troupe, two workers, even load', [...twoWorkers, ...balanced]),
  ];
}
