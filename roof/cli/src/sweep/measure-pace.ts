import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SweepCell } from '@troupe/topology';
import { CellFolder } from './cell-folder.ts';
import { Job } from './job.ts';

/** Tokens a second of a model, of a few steps that are thrown away, the first of which does not count; a sentence: why it cannot be trained. */
export async function measurePace(cell: SweepCell, numSteps: number): Promise<number | string> {
  const parent = mkdtempSync(join(tmpdir(), 'troupe-sweep-'));
  const folder = new CellFolder(parent, cell.name, 'measured');
  folder.begin(cell.topology);
  const rates: number[] = [];
  try {
    const steps = Math.min(numSteps, cell.topology.train.steps);
    const args = ['launch', folder.topologyFile, '--run-dir', folder.run, '--no-checkpoint'];
    const job = new Job([...args, '--stop-after', String(steps)], folder.logFile, (event) => {
      if (event.event === 'step' && (event.step > 1 || steps === 1)) rates.push(event.tokensPerSecond);
    });
    const { exitCode, message } = await job.end;
    if (exitCode !== 0 || rates.length === 0) return message;
  } finally {
    rmSync(parent, { recursive: true, force: true });
  }
  // Of equal steps: tokens of all over seconds of all.
  return rates.length / rates.reduce((sum, rate) => sum + 1 / rate, 0);
}
