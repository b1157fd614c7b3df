import { createInterface } from 'node:readline';
import { forkCommand } from '../fork-command.ts';
import type { SimulationJson } from './report.ts';
import type { SeedRange } from './seed-range.ts';

/**
 * Runs a part of the seeds in a process of its own, which is this command again.
 *
 * @param args - the command line without `--seeds` and `--jobs`
 * @returns the exit code; `report` gets each run as it ends
 */
export async function runSeeds(
  args: readonly string[],
  range: SeedRange,
  report: (run: SimulationJson) => void,
): Promise<number> {
  const child = forkCommand(['simulate', ...args, '--seeds', `${range.from}..${range.to}`, '--json']);
  const exited = new Promise<number>((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code) => resolve(code ?? 1));
  });
  for await (const line of createInterface({ input: child.stdout })) {
    const event = JSON.parse(line) as SimulationJson;
    if (event.event === 'simulation') report(event);
  }
  return exited;
}
