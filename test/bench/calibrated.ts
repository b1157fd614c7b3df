import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { BenchJob } from './bench-job.ts';

const bin = fileURLToPath(new URL('../../../roof/troupe/bin/troupe.js', import.meta.url));

/** Runs a command as a user would; what it printed. */
export async function runTroupe(args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [bin, ...args], { maxBuffer: 2 ** 26 });
  return stdout;
}

/** The command that trains a job for some steps, without anything between them, and says what happens in lines of JSON. */
export const launchCommand = (
  { file, overrides }: Pick<BenchJob, 'file' | 'overrides'>,
  set: readonly string[],
  numSteps: number,
): readonly [string, ...string[]] => [
  process.execPath,
  bin,
  'launch',
  file,
  '--json',
  '--no-checkpoint',
  '--stop-after',
  `${numSteps}`,
  ...[...overrides, ...set].flatMap((each) => ['--set', each]),
];

/** Calibrates a job, `troupe bench --calibrate`; the file is there while `use` runs. */
export async function withCalibration<Result>(
  { file, overrides }: Pick<BenchJob, 'file' | 'overrides'>,
  numSteps: number,
  use: (path: string) => Promise<Result>,
): Promise<Result> {
  const folder = await mkdtemp(join(tmpdir(), 'troupe-bench-'));
  try {
    const path = join(folder, 'calibration.json');
    const set = overrides.flatMap((each) => ['--set', each]);
    await runTroupe(['bench', '--calibrate', file, '--out', path, '--steps', `${numSteps}`, ...set]);
    return await use(path);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
