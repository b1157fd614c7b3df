import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { ProfileEvent, RunEvent } from '@troupe/telemetry';
import { UsageError } from '../errors.ts';
import { forkCommand } from '../fork-command.ts';

/** A topology, and what is changed in it. */
export interface CalibratedJob {
  readonly file: string;
  readonly set: readonly string[];
}

/** Steps before those that are recorded. */
const WARM_UP_STEPS = 2;

/** Trains some steps of a topology in processes of their own, as `launch` does, and gives the profile of the last ones. */
export async function profiledRun(
  file: string,
  set: readonly string[],
  numSteps: number,
): Promise<ProfileEvent> {
  const folder = await mkdtemp(join(tmpdir(), 'troupe-calibrate-'));
  const last = WARM_UP_STEPS + numSteps;
  const flags = ['--json', '--no-checkpoint', '--stop-after', `${last}`, '--run-dir', join(folder, 'run')];
  const profiling = ['--profile', '--profile-steps', `${WARM_UP_STEPS + 1}..${last}`];
  const overrides = set.flatMap((each) => ['--set', each]);
  const child = forkCommand(['launch', file, ...overrides, ...flags, ...profiling]);
  let profile: ProfileEvent | null = null;
  let reason = '';
  const lines = createInterface({ input: child.stdout }).on('line', (line) => {
    const event = JSON.parse(line) as RunEvent | { readonly event: 'error'; readonly message: string };
    if (event.event === 'profile') profile = event;
    if (event.event === 'error') reason = event.message;
  });
  try {
    const [code] = await Promise.all([
      new Promise<number | null>((resolve, reject) => {
        child.on('error', reject);
        child.on('exit', resolve);
      }),
      new Promise<void>((resolve) => lines.on('close', resolve)),
    ]);
    if (code !== 0 || profile === null)
      throw new UsageError(`launch of ${file} ended with ${code ?? 'a signal'}: ${reason}`);
    return profile;
  } finally {
    child.kill();
    await rm(folder, { recursive: true, force: true });
  }
}
