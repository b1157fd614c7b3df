import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { formatTopology, type ResolvedTopology } from '@troupe/topology';
import { fileStorage, systemClock, withAbsolutePaths } from 'troupe/launch';
import { UsageError } from '../errors.ts';

/** What lies in the folder of a cell: nothing, a training that can go on, or one of a cell that was another then. */
export type CellState = 'new' | 'begun' | 'changed';

const checkpointName = /^step-\d{6,}$/u;

/** How long a job of a sweep that was killed may take to write its checkpoint and leave. */
const LEAVE_MS = 60_000;
const LOOK_MS = 250;

/**
 * Where a cell is trained: `NAME.yaml` its topology, `NAME` its run folder, `NAME.log` what its jobs said on standard error.
 *
 * The first line of the topology has the hash of the cell; only folders with such a file beside them are ever removed.
 */
export class CellFolder {
  readonly run: string;
  readonly topologyFile: string;
  readonly logFile: string;
  readonly metrics: string;
  readonly #mark: string;

  /** @param folder - of all cells of the sweep */
  constructor(folder: string, name: string, hash: string) {
    this.run = join(folder, name);
    this.topologyFile = join(folder, `${name}.yaml`);
    this.logFile = join(folder, `${name}.log`);
    this.metrics = join(this.run, 'metrics.jsonl');
    this.#mark = `# Written by troupe sweep: cell ${name}, ${hash}`;
  }

  /** @throws {UsageError} TROUPE_USAGE: there is a folder of that name that no sweep made */
  get state(): CellState {
    if (!existsSync(this.topologyFile)) {
      if (!existsSync(this.run)) return 'new';
      throw new UsageError(`'${this.run}' exists, and no sweep made it; remove it, or name another out`);
    }
    const [first] = readFileSync(this.topologyFile, 'utf8').split('\n');
    if (first !== this.#mark) return 'changed';
    return existsSync(this.run) ? 'begun' : 'new';
  }

  get hasCheckpoint(): boolean {
    return this.#checkpoints.length > 0;
  }

  get #checkpoints(): readonly string[] {
    return existsSync(this.run) ? readdirSync(this.run).filter((name) => checkpointName.test(name)) : [];
  }

  /** Begins anew: the topology of the cell, and nothing else. */
  begin(topology: ResolvedTopology): void {
    mkdirSync(join(this.run, '..'), { recursive: true });
    rmSync(this.run, { recursive: true, force: true });
    writeFileSync(
      this.topologyFile,
      `${this.#mark}\n${formatTopology(withAbsolutePaths(topology).portable)}`,
    );
  }

  /** Leaves metrics and removes weights. */
  removeCheckpoints(): void {
    for (const name of this.#checkpoints) rmSync(join(this.run, name), { recursive: true, force: true });
  }

  /**
   * Waits until no process writes the run folder: the job of a sweep that was killed leaves by itself.
   *
   * @throws {RunLockedError} TROUPE_RUN_LOCKED when one still does after a minute
   */
  async untilFree(): Promise<void> {
    if (!existsSync(this.run)) return;
    const clock = systemClock();
    const storage = fileStorage(this.run);
    for (const end = clock.now() + LEAVE_MS; ;) {
      try {
        const lock = await storage.lock('', () => {});
        await lock.release();
        return;
      } catch (error) {
        if ((error as { readonly code?: unknown }).code !== 'TROUPE_RUN_LOCKED' || clock.now() >= end)
          throw error;
      }
      await new Promise<void>((resolve) => void clock.after(LOOK_MS, resolve));
    }
  }
}
