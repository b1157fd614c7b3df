import type { RunEvent, StepEvent } from '@troupe/telemetry';

/** What a lead tells again that takes over, since it does not know whether the one before has. */
const retold: readonly RunEvent['event'][] = ['step', 'eval', 'checkpoint'];

/** The newest step of each kind of event that a run has reported, and the losses of those that may be computed again. */
export class ReportedSteps {
  readonly #steps = new Map<RunEvent['event'], number>();
  /** Behind the newest checkpoint. */
  readonly #losses = new Map<number, Pick<StepEvent, 'loss' | 'gradNorm'>>();

  note(event: RunEvent): void {
    if (!('step' in event) || typeof event.step !== 'number') return;
    this.#steps.set(event.event, event.step);
    if (event.event === 'step') this.#losses.set(event.step, { loss: event.loss, gradNorm: event.gradNorm });
    if (event.event === 'checkpoint')
      for (const step of this.#losses.keys()) if (step <= event.step) this.#losses.delete(step);
  }

  /** Whether an event was reported before now: to be asked of what a later lead, or layout, tells. Every line is written once (TKO-6). */
  asOfNow(): (event: RunEvent) => boolean {
    const before = new Map(this.#steps);
    return (event) =>
      retold.includes(event.event) &&
      'step' in event &&
      typeof event.step === 'number' &&
      event.step <= (before.get(event.event) ?? -1);
  }

  /** What is not as it was in a step that is computed again, in words; null: it is equal, or nobody knows any more. */
  difference(event: RunEvent): string | null {
    if (event.event !== 'step') return null;
    const { step, loss, gradNorm } = event;
    const was = this.#losses.get(step);
    if (was === undefined || (Object.is(was.loss, loss) && Object.is(was.gradNorm, gradNorm))) return null;
    return `step ${step} was computed again with loss ${loss} and gradient norm ${gradNorm} instead of ${was.loss} and ${was.gradNorm}`;
  }
}
