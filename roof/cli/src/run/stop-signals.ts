import type { Clock, TimerHandle } from '@troupe/core';
import { surviveClosedTerminal, type Launch, type StopReason } from 'troupe/launch';

/** A run, or several. */
export type Stoppable = Pick<Launch, 'stop' | 'abort'>;

/** Signals that ask to end, other than Ctrl-C: their sender may not wait long. */
const endings = {
  SIGTERM: 'terminated',
  SIGHUP: 'hungUp',
  SIGQUIT: 'quit',
  SIGXCPU: 'outOfTime',
} as const satisfies Partial<Record<NodeJS.Signals, StopReason>>;

/** The same for people. */
const said: Readonly<Record<StopReason, string>> = {
  interrupted: 'interrupted',
  terminated: 'terminated',
  hungUp: 'the terminal was closed',
  quit: 'told to quit',
  outOfTime: 'out of processor time',
};

/** npm passes Ctrl-C on to a process that the terminal has told already; nobody types it twice so fast. */
const SAME_SIGNAL_MS = 300;

export interface StopSignalsOptions {
  readonly clock: Clock;
  /** What a signal other than Ctrl-C grants before the run ends without a checkpoint. */
  readonly graceMs: number;
  readonly notice: (text: string) => void;
  /** Ends the process before a run exists that could be stopped. */
  readonly exit: (reason: StopReason) => void;
  /** SIGHUP was ignored when the process began, and is now: SIG-3. */
  readonly ignoresHangup: boolean;
  /** What is going on, for people. Default: finishing the step and writing a checkpoint. */
  readonly ending?: string;
}

/**
 * What signals do to a run.
 *
 * SIG-1: the first SIGINT, SIGTERM, SIGHUP (a closed terminal), SIGQUIT or SIGXCPU finishes the step and writes a checkpoint. SIG-2: a
 * further SIGINT, or the end of the grace that the others have, ends the run at once. Either way the workers end with it. SIG-3: SIGHUP
 * stays ignored where it was when the process began (`nohup`).
 */
export class StopSignals {
  readonly #options: StopSignalsOptions;
  readonly #onInterrupt = (): void => this.#interrupt();
  readonly #onEnding = (signal: NodeJS.Signals): void => this.#end(signal);
  readonly #timers: TimerHandle[] = [];
  #run: Stoppable | null = null;
  #asked: StopReason | null = null;
  #isArmed = false;
  #isGranted = false;

  constructor(options: StopSignalsOptions) {
    this.#options = options;
    surviveClosedTerminal();
    process.on('SIGINT', this.#onInterrupt);
    for (const signal of Object.keys(endings)) process.on(signal, this.#onEnding);
  }

  /** The first signal so far, or the latest of another kind; null: none. */
  get asked(): StopReason | null {
    return this.#asked;
  }

  /** The run that signals stop from now on; one that came while it started stops it now. */
  attach(run: Stoppable): void {
    this.#run = run;
    if (this.#asked !== null) run.stop(this.#asked);
  }

  /** Somebody else asks to end: as a first Ctrl-C does, or, `now`, as a second one. */
  request({ now }: { readonly now: boolean }): void {
    if (this.#asked === null) this.#ask('interrupted');
    if (now) this.#leave();
  }

  close(): void {
    process.off('SIGINT', this.#onInterrupt);
    for (const signal of Object.keys(endings)) process.off(signal, this.#onEnding);
    for (const timer of this.#timers) this.#options.clock.cancel(timer);
  }

  #interrupt(): void {
    if (this.#asked === null) this.#ask('interrupted');
    else if (this.#isArmed) this.#leave();
  }

  #end(signal: NodeJS.Signals): void {
    if (signal === 'SIGHUP' && this.#options.ignoresHangup) return;
    // One grace: systems that end a machine send several, one after the other.
    if (this.#isGranted) return;
    this.#isGranted = true;
    this.#ask(endings[signal as keyof typeof endings]);
    this.#after(this.#options.graceMs, () => this.#leave());
  }

  #ask(reason: StopReason): void {
    this.#asked = reason;
    this.#run?.stop(reason);
    this.#after(SAME_SIGNAL_MS, () => {
      this.#isArmed = true;
      this.#options.notice(
        `${said[reason]}: ${this.#options.ending ?? 'finishing the step and writing a checkpoint'}; Ctrl-C leaves at once`,
      );
    });
  }

  #leave(): void {
    if (this.#run === null) this.#options.exit(this.#asked ?? 'interrupted');
    // The run's own result says how it ended.
    else void this.#run.abort();
  }

  #after(delayMs: number, act: () => void): void {
    this.#timers.push(this.#options.clock.after(delayMs, act));
  }
}
