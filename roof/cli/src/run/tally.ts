import type { RunEvent, StepEvent } from '@troupe/telemetry';

/** What a run has told so far, added up. */
export class Tally {
  readonly losses: { readonly step: number; readonly loss: number }[] = [];
  last: StepEvent | null = null;
  evalLoss: number | null = null;
  /** Folder of the last checkpoint inside the run folder; null when none was written. */
  checkpoint: string | null = null;
  #tokens = 0;
  #seconds = 0;
  /** Mean utilisation weighs steps by their time; those of unknown utilisation are left out. */
  readonly #used = { mfuSeconds: 0, seconds: 0 };

  add(event: RunEvent): void {
    if (event.event === 'eval') this.evalLoss = event.loss;
    if (event.event === 'checkpoint') this.checkpoint = event.path;
    if (event.event !== 'step') return;
    const seconds = event.tokens / event.tokensPerSecond;
    this.last = event;
    this.losses.push({ step: event.step, loss: event.loss });
    this.#tokens += event.tokens;
    this.#seconds += seconds;
    if (event.mfu === null) return;
    this.#used.mfuSeconds += event.mfu * seconds;
    this.#used.seconds += seconds;
  }

  /** Over all steps, without evaluations and checkpoints; null before the first step. */
  get tokensPerSecond(): number | null {
    return this.#seconds > 0 ? this.#tokens / this.#seconds : null;
  }

  get mfu(): number | null {
    return this.#used.seconds === 0 ? null : this.#used.mfuSeconds / this.#used.seconds;
  }

  get secondsPerStep(): number | null {
    return this.losses.length === 0 ? null : this.#seconds / this.losses.length;
  }
}
