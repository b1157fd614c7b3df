import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { ProfileEvent, RunEvent } from '@troupe/telemetry';

const bin = fileURLToPath(new URL('../../../roof/troupe/bin/troupe.js', import.meta.url));

export const WARM_UP_STEPS = 2;

export interface ProfiledRun {
  /** Of each step behind the warm-up, milliseconds. */
  readonly stepMs: readonly number[];
  /** null for a run without. */
  readonly profile: ProfileEvent | null;
}

/** Trains a topology as a user would, and looks at the steps behind the warm-up. */
export async function profiledRun(
  { file, overrides }: { readonly file: string; readonly overrides: readonly string[] },
  { numSteps, isProfiled }: { readonly numSteps: number; readonly isProfiled: boolean },
): Promise<ProfiledRun> {
  const folder = mkdtempSync(join(tmpdir(), 'troupe-roofline-'));
  const set = overrides.flatMap((each) => ['--set', each]);
  const flags = [
    '--json',
    '--no-checkpoint',
    '--stop-after',
    String(numSteps),
    '--run-dir',
    join(folder, 'run'),
  ];
  const profiling = isProfiled ? ['--profile', '--profile-steps', `${WARM_UP_STEPS + 1}..${numSteps}`] : [];
  const child = spawn(process.execPath, [bin, 'launch', file, ...set, ...flags, ...profiling], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const stepMs: number[] = [];
  let profile: ProfileEvent | null = null;
  const lines = createInterface({ input: child.stdout }).on('line', (line) => {
    const event = JSON.parse(line) as RunEvent;
    if (event.event === 'step' && event.step > WARM_UP_STEPS)
      stepMs.push((1000 * event.tokens) / event.tokensPerSecond);
    if (event.event === 'profile') profile = event;
  });
  try {
    const [code] = await Promise.all([
      new Promise<number | null>((resolve) => child.on('exit', resolve)),
      new Promise<void>((resolve) => lines.on('close', resolve)),
    ]);
    if (code !== 0) throw new Error(`launch ended with ${code}`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return { stepMs, profile };
}
