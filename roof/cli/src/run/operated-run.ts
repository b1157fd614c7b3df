import type { RunEvent } from '@troupe/telemetry';
import { TroupeError } from '@troupe/core';
import {
  askWords,
  BoundedLog,
  boundLog,
  CONSOLE,
  ControlServer,
  RunBoard,
  type RelayoutRequest,
} from 'troupe/control';
import { askedRelayout, layoutWords, type Launch } from 'troupe/launch';
import { Progress } from './progress.ts';
import type { Tally } from './tally.ts';

export interface OperatedRunOptions {
  readonly name: string;
  readonly folder: string;
  readonly tally: Tally;
  /** Step that the run starts after, the one it ends with, and the last of the schedule. */
  readonly first: number;
  readonly last: number;
  readonly steps: number;
  /** What this process prints goes to a file, `console.log`. */
  readonly isDetached: boolean;
  readonly isStopping: () => boolean;
  readonly stop: (how: { readonly now: boolean }) => void;
  /** Of what keeps others from looking at the run; it goes on. */
  readonly warn: (text: string) => void;
}

/** A line of the lead's log about a step, at most so often. */
const STEP_MS = 10_000;
/** Between two looks at how much a detached process has printed. */
const BOUND_MS = 30_000;

/** What others see of a run that this process has launched: its control socket, and what its processes print. */
export class OperatedRun {
  readonly #options: OperatedRunOptions;
  readonly #board: RunBoard;
  readonly #logs = new Map<string, BoundedLog>();
  readonly #progress: Progress;
  #server: ControlServer | null = null;
  #run: Launch | null = null;
  #bounding: NodeJS.Timeout | null = null;

  constructor(options: OperatedRunOptions) {
    const { first, last, steps, tally } = options;
    this.#options = options;
    this.#board = new RunBoard({ ...options, nowMs: () => performance.now() });
    let shownMs = -Infinity;
    const isDue = (): boolean => {
      const nowMs = performance.now();
      if (nowMs - shownMs < STEP_MS) return false;
      shownMs = nowMs;
      return true;
    };
    const write = (text: string): void => this.printed('lead', text);
    this.#progress = new Progress({ steps, first, end: last, isTerminal: false, isDue, write }, tally);
  }

  async open(): Promise<void> {
    const { folder, isDetached, warn, stop } = this.#options;
    if (isDetached) this.#bounding = setInterval(() => boundLog(folder, CONSOLE), BOUND_MS).unref();
    const failed = (error: unknown): void =>
      warn(
        `nobody can look at this run with troupe status: ${error instanceof Error ? error.message : String(error)}`,
      );
    try {
      this.#server = await ControlServer.open({
        folder,
        status: () => this.#board.status(),
        stop: (how) => {
          this.say(how.now ? 'told to end now, by troupe stop' : 'told to end, by troupe stop');
          stop(how);
        },
        relayout: (request) => this.#relayout(request),
        failed,
      });
    } catch (error) {
      failed(error);
    }
  }

  attach(run: Launch): void {
    this.#run = run;
    this.#board.attach({
      look: () => run.look(),
      layout: () => layoutWords(run.topology),
      relayouts: () => run.relayouts,
    });
  }

  async #relayout(request: RelayoutRequest): Promise<unknown> {
    const words = askWords(request.ask);
    if (!request.dryRun) this.say(`${words}, asked by ${request.by} (${request.id})`);
    if (this.#run === null)
      throw new TroupeError('TROUPE_CONTROL_BUSY', `the run starts; ask for '${words}' when it has begun`, {
        retryable: true,
      });
    return askedRelayout(this.#run, request);
  }

  hear(event: RunEvent): void {
    this.#board.hear(event);
    if (event.event === 'warning') this.say(`warning: ${event.message}`);
    else if (event.event === 'error') this.say(`${event.code}: ${event.message}`);
    else this.#progress.show(event);
  }

  /** A line of the lead. */
  say(text: string): void {
    this.printed('lead', `${text}\n`);
  }

  printed(node: string, text: string): void {
    let log = this.#logs.get(node);
    if (log === undefined) this.#logs.set(node, (log = new BoundedLog(this.#options.folder, node)));
    log.write(text);
  }

  close(): void {
    this.#server?.close();
    clearInterval(this.#bounding ?? undefined);
    for (const log of this.#logs.values()) log.close();
    this.#logs.clear();
  }
}
