import { existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { BoundedLog } from '../control/bounded-log.ts';

/** Of the folder that is given: a folder a run. */
const FOLDER = 'machine-logs';
/** Runs whose logs a machine keeps at most, beside those that were written to in the last hour. */
export const runsKept = 16;
const FRESH_MS = 3_600_000;

/**
 * What the processes of a run print on this machine, in files of this machine: two of 4 MiB at most a process, whatever becomes of the lead.
 *
 * LOG-3: a machine keeps the logs of a bounded number of runs; of one that goes on none is removed.
 */
export class MachineLogs {
  readonly folder: string;
  readonly #logs = new Map<string, BoundedLog>();

  /**
   * @param cache - a folder of this machine that may be emptied
   * @param run - name of the run
   */
  constructor(cache: string, run: string) {
    const all = join(cache, FOLDER);
    removeOldest(all);
    this.folder = join(all, run);
  }

  write(node: string, line: string): void {
    let log = this.#logs.get(node);
    if (log === undefined) this.#logs.set(node, (log = new BoundedLog(this.folder, node)));
    log.write(`${line}\n`);
  }

  close(): void {
    for (const log of this.#logs.values()) log.close();
    this.#logs.clear();
  }
}

/** When one of its files was written to last, milliseconds since 1970. */
function writtenMs(run: string): number {
  const logs = join(run, 'logs');
  const paths = [run, ...(existsSync(logs) ? readdirSync(logs).map((name) => join(logs, name)) : [])];
  return Math.max(...paths.map((path) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0));
}

function removeOldest(all: string): void {
  try {
    const runs = readdirSync(all).map((name) => join(all, name));
    const aged = runs.map((path) => ({ path, ms: writtenMs(path) })).sort((a, b) => b.ms - a.ms);
    for (const { path, ms } of aged.slice(runsKept - 1))
      if (Date.now() - ms > FRESH_MS) rmSync(path, { recursive: true, force: true });
  } catch {
    // There are none yet, or another agent of this machine removes them.
  }
}
