import { spawn, type ChildProcess } from 'node:child_process';

/** Keeps the last line that it was told, and ends the processes named there when nobody is left who could tell it another one. */
const script =
  'pids=; while read -r line; do pids=$line; done; [ -z "$pids" ] || kill -KILL $pids 2>/dev/null';

/**
 * Ends the workers of an agent that was killed: also one that is stopped, or busy, which does not hear its pipe close.
 *
 * It is a process of its own, in a session of its own, so that what ends the agent does not end it too.
 */
export class WorkerGuard {
  readonly #child: ChildProcess;

  constructor() {
    this.#child = spawn('sh', ['-c', script], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
    // Without it workers still leave with their agent, as long as they hear.
    this.#child.on('error', () => {});
    this.#child.stdin?.on('error', () => {});
    this.#child.unref();
  }

  /** Who lives now; those who are not named any more have been buried. */
  watch(pids: readonly number[]): void {
    this.#child.stdin?.write(`${pids.join(' ')}\n`);
  }
}
