import { fork, type ChildProcess } from 'node:child_process';
import type { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';

/**
 * A worker process that waits to be told which worker it is; it leaves when this process does, however that happens. What it prints comes
 * through pipes, for whoever takes it.
 */
export function forkWorker(): ChildProcess {
  const main = fileURLToPath(new URL('./worker-main.js', import.meta.url));
  return fork(main, [], { stdio: ['ignore', 'pipe', 'pipe', 'ipc'], serialization: 'json' });
}

/** What it prints on; pipes of Node are sockets. */
const pipesOf = (child: ChildProcess | null): readonly Socket[] =>
  [child?.stdout, child?.stderr].filter((pipe): pipe is Socket => pipe != null && 'unref' in pipe);

/**
 * A worker process that boots while its agent still loads its own modules: about 0.4 s of every start.
 *
 * This file imports nothing but Node, so that it is there before anything else. A spare that nobody takes keeps no process alive.
 */
export class SpareWorker {
  #child: ChildProcess | null = forkWorker();

  constructor() {
    // Without a listener an 'error' would end this process; the taker of a failed spare learns of it from the exit code.
    this.#child?.on('error', () => {});
    this.#child?.unref();
    this.#child?.channel?.unref();
    for (const pipe of pipesOf(this.#child)) pipe.unref();
    // One that is stopped would not hear its pipe close.
    process.once('exit', () => this.#child?.kill('SIGKILL'));
  }

  /** The process, once; null after that, or if it has already ended. */
  take(): ChildProcess | null {
    const child = this.#child;
    this.#child = null;
    if (child === null || !child.connected) return null;
    child.ref();
    child.channel?.ref();
    for (const pipe of pipesOf(child)) pipe.ref();
    return child;
  }
}
