import type { ProgressEvent } from '@troupe/telemetry';
import { Pace } from 'troupe/launch';
import { bytes, count } from './numbers.ts';

/** Back to the start of the line, and clear it. */
const REWRITE = '\r\u001b[2K';

type Told = Omit<ProgressEvent, 'event'>;

/** `evaluating: 120 of 405 sequences (29.6%)`. */
export function describeProgress({ task, unit, done, of }: Told): string {
  const said = (value: number): string => (unit === 'bytes' ? bytes(value) : count(value));
  const noun = unit === 'bytes' ? '' : ` ${unit}`;
  const share = of === null || of === 0 ? '' : ` (${((100 * done) / of).toFixed(1)}%)`;
  return `${task}: ${said(done)}${of === null ? '' : ` of ${said(of)}`}${noun}${share}`;
}

/** Shows on standard error how far a command has come that prints its answer at the end. */
export class TaskProgress {
  readonly #pace = new Pace(() => performance.now());
  #open = false;

  readonly show = (told: Told): void => {
    if (!this.#pace.isDue()) return;
    const text = describeProgress(told);
    process.stderr.write(process.stderr.isTTY ? `${REWRITE}${text}` : `${text}\n`);
    this.#open = process.stderr.isTTY;
  };

  /** What is printed next has the line for itself. */
  close(): void {
    if (this.#open) process.stderr.write(REWRITE);
    this.#open = false;
  }
}
