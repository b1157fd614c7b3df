import type { ChildProcess } from 'node:child_process';
import type { Clock } from '@troupe/core';
import { systemClock } from '../ports/clock.ts';
import { LastWords } from './last-words.ts';
import type { AgentMessage, WorkerArguments, WorkerMessage } from './protocol.ts';
import { forkWorker } from './spare-worker.ts';
import type { LaunchOptions } from './launch-options.ts';
import { WholeLines } from './whole-lines.ts';

/** What a process had printed may come after its exit. */
const LAST_WORDS_MS = 500;

/** A worker process, seen from its agent. */
export class WorkerProcess {
  readonly rank: number;
  readonly #child: ChildProcess;
  #expected = false;

  /** Takes the spare process if there is one, else forks. */
  constructor(
    worker: WorkerArguments,
    spare: LaunchOptions['spare'] | null,
    handlers: {
      readonly message: (message: WorkerMessage) => void;
      readonly exited: (reason: string) => void;
      /** What it prints, in pieces. Default: this process prints the same. */
      readonly printed?: ((text: string) => void) | undefined;
    },
  ) {
    this.rank = worker.rank;
    // The option's type names no ChildProcess, so that embedding programs need no types of Node.
    this.#child = (spare?.take() as ChildProcess | null | undefined) ?? forkWorker();
    this.#child.on('message', (message) => handlers.message(message as WorkerMessage));
    const { printed } = handlers;
    const last = new LastWords();
    for (const name of ['stdout', 'stderr'] as const) {
      const lines = new WholeLines((line) => last.add(line));
      this.#child[name]
        ?.setEncoding('utf8')
        .on('data', (text: string) => {
          lines.push(text);
          if (printed === undefined) process[name].write(text);
          else printed(text);
        })
        .on('end', () => lines.flush());
    }
    this.#child.on('error', (error) => handlers.exited(error.message));
    this.#child.on('exit', (code, signal) => {
      const tell = (): void => {
        // What others end has not said why.
        if (signal === 'SIGKILL') handlers.exited(`signal ${signal}`);
        else handlers.exited(last.after(signal === null ? `exit code ${code}` : `signal ${signal}`));
      };
      if (!this.#expected) this.#whenHeard(tell);
    });
    this.send({ type: 'begin', worker });
  }

  /** Once all is read that it had printed, unless that takes too long, or another end was asked for meanwhile. */
  #whenHeard(tell: () => void): void {
    let isTold = false;
    const once = (): void => {
      clock.cancel(timer);
      if (!isTold && !this.#expected) tell();
      isTold = true;
    };
    const clock = systemClock();
    const timer = clock.after(LAST_WORDS_MS, once);
    this.#child.once('close', once);
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  send(message: AgentMessage): void {
    // A worker that is gone says so by its exit, not by a failed send.
    if (this.#child.connected) this.#child.send(message, () => {});
  }

  /** Ends the process at once, without waiting. */
  killNow(): void {
    this.#expected = true;
    if (!this.#isGone) this.#child.kill('SIGKILL');
  }

  /** Ends the process at once, also when it is stopped, and waits until the system has buried it. */
  async kill(): Promise<void> {
    this.#expected = true;
    if (this.#isGone) return;
    const gone = new Promise<void>((resolve) => this.#child.once('exit', () => resolve()));
    this.killNow();
    await gone;
  }

  get #isGone(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null || this.#child.pid === undefined;
  }

  /** Asks the process to leave, ends it after `graceMs`, and waits until the system has buried it. */
  async end(clock: Clock, graceMs: number): Promise<void> {
    this.#expected = true;
    if (this.#isGone) return;
    const gone = new Promise<void>((resolve) => this.#child.once('exit', () => resolve()));
    this.send({ type: 'leave' });
    const timer = clock.after(graceMs, () => this.#child.kill('SIGKILL'));
    await gone;
    clock.cancel(timer);
  }
}
