import { closeSync, openSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { RunEvent } from '@troupe/telemetry';
import { forkCommand } from '../fork-command.ts';

/** How a training's process ended. */
export interface JobEnd {
  /** null: a signal ended it. */
  readonly exitCode: number | null;
  /** What it said of itself, as one sentence. */
  readonly message: string;
}

/** A training, or its evaluation, in a process of its own, which is this command again and leaves with it. */
export class Job {
  readonly end: Promise<JobEnd>;
  readonly #child: ReturnType<typeof forkCommand>;

  /**
   * @param args - `launch …`, `resume …` or `eval …`, without `--json`
   * @param logFile - gets what it says on standard error
   */
  constructor(args: readonly string[], logFile: string, report: (event: RunEvent) => void) {
    const stderr = openSync(logFile, 'a');
    try {
      this.#child = forkCommand([...args, '--json'], { stderr });
    } finally {
      closeSync(stderr);
    }
    this.end = this.#follow(report);
  }

  /** Asks for a checkpoint and an end. */
  stop(): void {
    this.#child.kill('SIGTERM');
  }

  /** Ends it at once; its workers hear its pipe close. */
  kill(): void {
    this.#child.kill('SIGKILL');
  }

  async #follow(report: (event: RunEvent) => void): Promise<JobEnd> {
    const exited = new Promise<readonly [code: number | null, signal: string | null]>((resolve, reject) => {
      this.#child.on('error', reject);
      this.#child.on('exit', (code, signal) => resolve([code, signal]));
    });
    let message: string | null = null;
    for await (const line of createInterface({ input: this.#child.stdout })) {
      const event = eventOf(line);
      if (event === null) continue;
      if (event.event === 'error') message = event.message;
      report(event);
    }
    const [exitCode, signal] = await exited;
    return {
      exitCode,
      message: message ?? (signal === null ? `exit code ${exitCode}` : `ended by ${signal}`),
    };
  }
}

/** null: half a line of a process that was killed. */
function eventOf(line: string): RunEvent | null {
  try {
    return JSON.parse(line) as RunEvent;
  } catch {
    return null;
  }
}
