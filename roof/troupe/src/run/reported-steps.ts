import type { RunEvent } from '@troupe/telemetry';

/** What a lead tells again that takes over, since it does not know whether the one before has. */
const retold: readonly RunEvent['event'][] = ['step', 'eval', 'checkpoint'];

/** The newest step of each kind of event that a run has reported. */
export class ReportedSteps {
  readonly #steps = new Map<RunEvent['event'], number>();

  note(event: RunEvent): void {
    if ('step' in event && typeof event.step === 'number') this.#steps.set(event.event, event.step);
  }

  /** Whether an event was reported before now: to be asked of what a later lead tells. Every line is written once (TKO-6). */
  asOfNow(): (event: RunEvent) => boolean {
    const before = new Map(this.#steps);
    return (event) =>
      retold.includes(event.event) &&
      'step' in event &&
      typeof event.step === 'number' &&
      event.step <= (before.get(event.event) ?? -1);
  }
}
