import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { RunEvent } from '@troupe/telemetry';
import { printError } from '../output.ts';

export const METRICS_FILE = 'metrics.jsonl';

/**
 * Appends every event of a run to `metrics.jsonl`, one object a line, as `--json` prints it.
 *
 * A resumed run appends a new `start` and goes on; where steps come twice, the later line counts.
 * A full disk costs metrics, not the run: the first failed write is said once.
 */
export class MetricsFile {
  readonly path: string;
  #handle: number | null = null;

  constructor(folder: string) {
    this.path = join(folder, METRICS_FILE);
    this.#try(() => (this.#handle = openSync(this.path, 'a')));
  }

  write(event: RunEvent): void {
    const handle = this.#handle;
    if (handle !== null) this.#try(() => writeSync(handle, `${JSON.stringify(event)}\n`));
  }

  close(): void {
    if (this.#handle !== null) closeSync(this.#handle);
    this.#handle = null;
  }

  #try(act: () => void): void {
    try {
      act();
    } catch (error) {
      this.#handle = null;
      printError(
        `troupe: no more metrics in ${this.path}: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  }
}
