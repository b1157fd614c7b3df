import type { Clock, TimerHandle } from '@troupe/core';
import type { Launch } from 'troupe';

type Reason = 'interrupted' | 'terminated';

/** npm passes Ctrl-C on to a process that the terminal has told already; nobody types it twice so fast. */
const SAME_SIGNAL_MS = 300;

export interface StopSignalsOptions {
  readonly clock: Clock;
  /** What SIGTERM grants before the run ends without a checkpoint. */
  readonly graceMs: number;
  readonly notice: (text: string) => void;
  /** Ends the process before a run exists that could be stopped. */
  readonly exit: (reason: Reason) => void;
}

/**
 * What signals do to a run.
 *
 * SIG-1: the first SIGINT or SIGTERM finishes the step and writes a checkpoint. SIG-2: a further SIGINT, or the end of SIGTERM's
 * grace, ends the run at once. Either way the workers end with it.
 */
export class StopSignals {
  readonly #options: StopSignalsOptions;
  readonly #onInterrupt = (): void => this.#interrupt();
  readonly #onTerminate = (): void => this.#terminate();
  readonly #timers: TimerHandle[] = [];
  #run: Launch | null = null;
  #asked: Reason | null = null;
  #isArmed = false;

  constructor(options: StopSignalsOptions) {
    this.#options = options;
    process.on('SIGINT', this.#onInterrupt);
    process.on('SIGTERM', this.#onTerminate);
  }

  /** The run that signals stop from now on; one that came while it started stops it now. */
  attach(run: Launch): void {
    this.#run = run;
    if (this.#asked !== null) run.stop(this.#asked);
  }

  close(): void {
    process.off('SIGINT', this.#onInterrupt);
    process.off('SIGTERM', this.#onTerminate);
    for (const timer of this.#timers) this.#options.clock.cancel(timer);
  }

  #interrupt(): void {
    if (this.#asked === null) this.#ask('interrupted');
    else if (this.#isArmed) this.#leave();
  }

  #terminate(): void {
    if (this.#asked === 'terminated') return;
    this.#ask('terminated');
    this.#after(this.#options.graceMs, () => this.#leave());
  }

  #ask(reason: Reason): void {
    this.#asked = reason;
    this.#run?.stop(reason);
    this.#after(SAME_SIGNAL_MS, () => {
      this.#isArmed = true;
      this.#options.notice(`${reason}: finishing the step and writing a checkpoint; Ctrl-C leaves at once`);
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
