/** Milliseconds of silence before a task that takes long says how far it is, and between the first reports. */
const FIRST_MS = 1000;
const FIRST_REPORTS = 10;
/** Between later ones: a task of hours fills no log. */
const LATER_MS = 10_000;

/** Lets a report through now and then. */
export class Pace {
  readonly #now: () => number;
  #lastMs: number;
  #reports = 0;

  constructor(now: () => number) {
    this.#now = now;
    this.#lastMs = now();
  }

  /** Begins another task. */
  begin(): void {
    this.#lastMs = this.#now();
    this.#reports = 0;
  }

  /** True when it is time to say something. */
  isDue(): boolean {
    const nowMs = this.#now();
    if (nowMs - this.#lastMs < (this.#reports < FIRST_REPORTS ? FIRST_MS : LATER_MS)) return false;
    this.#lastMs = nowMs;
    this.#reports++;
    return true;
  }
}
