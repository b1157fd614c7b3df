import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { RunEvent } from '@troupe/telemetry';
import { residentOf } from './process-tree.ts';

const root = new URL('../../../', import.meta.url);
const bin = fileURLToPath(new URL('roof/troupe/bin/troupe.js', root));

/** Resident memory of every process of a run, added up, at one step. */
export interface MemoryRow {
  readonly step: number;
  readonly residentMiB: number;
  readonly numProcesses: number;
}

/** Frames that arrived are freed by the collector in bursts, so a mark is the mean over this many steps up to it. */
const WINDOW_STEPS = 50;

/** Trains the tiny preset for many steps in two worker processes and looks at its memory on the way. */
export async function benchMemory({
  size,
}: {
  readonly size: 'small' | 'full';
}): Promise<readonly MemoryRow[]> {
  const steps = size === 'full' ? [200, 500, 1000, 1500, 2000] : [5, 10];
  const last = steps.at(-1) ?? 0;
  const set = ['--set', `train.steps=${last}`, '--set', 'eval.every=0', '--set', 'checkpoint.every=100'];
  const folder = `${process.env['TMPDIR'] ?? '/tmp'}/troupe-memory-${process.pid}`;
  const child = spawn(process.execPath, [bin, 'launch', 'tiny', '--json', '--run-dir', folder, ...set], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const samples = new Map<number, MemoryRow[]>();
  createInterface({ input: child.stdout }).on('line', (line) => {
    const event = JSON.parse(line) as RunEvent;
    if (event.event !== 'step' || child.pid === undefined) return;
    const step = steps.find((mark) => event.step > mark - WINDOW_STEPS && event.step <= mark);
    if (step === undefined) return;
    const { bytes, numProcesses } = residentOf(child.pid);
    const seen = samples.get(step) ?? [];
    samples.set(step, [...seen, { step, residentMiB: bytes / 2 ** 20, numProcesses }]);
  });
  const code = await new Promise<number | null>((resolve) => child.on('exit', resolve));
  if (code !== 0) throw new Error(`launch ended with ${code}`);
  return [...samples.values()].map((seen) => {
    const last = seen.at(-1) as MemoryRow;
    return { ...last, residentMiB: seen.reduce((sum, each) => sum + each.residentMiB, 0) / seen.length };
  });
}

export function formatMemory(rows: readonly MemoryRow[]): string {
  const base = rows[0]?.residentMiB ?? Number.NaN;
  return [
    'Preset "tiny", two workers; resident memory of all processes together, mean of the 50 steps up to each mark.',
    '',
    '| step | processes | MiB | of the first |',
    '|---|---|---|---|',
    ...rows.map(
      (row) =>
        `| ${row.step} | ${row.numProcesses} | ${row.residentMiB.toFixed(1)} | ${(row.residentMiB / base).toFixed(3)} |`,
    ),
  ].join('\n');
}
