import type { RunEvent, StepEvent } from '@troupe/telemetry';
import { count, duration, nats, percent } from './numbers.ts';
import type { Tally } from './tally.ts';

/** Plain output shows about so many steps of a run. */
const LINES = 30;
/** Back to the start of the line, and clear it. */
const REWRITE = '\r\u001b[2K';

export interface ProgressOptions {
  /** Steps of the schedule. */
  readonly steps: number;
  /** Step that the run starts after, and the one it ends with. */
  readonly first: number;
  readonly end: number;
  /** A terminal gets one line that is rewritten; anything else plain lines. */
  readonly isTerminal: boolean;
  /** Columns of the terminal: a longer line would wrap and could not be rewritten. Default 80. */
  readonly columns?: () => number;
  readonly write: (text: string) => void;
}

/** Shows a run to people while it goes. */
const sources = {
  peers: 'other workers',
  snapshot: 'the last checkpoint',
  seed: 'the beginning',
} as const;

export class Progress {
  readonly #options: ProgressOptions;
  readonly #tally: Tally;
  readonly #every: number;
  #open = false;

  constructor(options: ProgressOptions, tally: Tally) {
    this.#options = options;
    this.#tally = tally;
    this.#every = Math.max(1, Math.ceil((options.end - options.first) / LINES));
  }

  /** Takes an event after the tally has. */
  show(event: RunEvent): void {
    if (event.event === 'step') this.#step(event);
    else if (event.event === 'start')
      this.line(
        `${event.device} (${event.reason}); ${count(event.paramsTotal)} parameters, ${count(event.paramsActive)} active a token`,
      );
    else if (event.event === 'eval')
      this.line(`step ${event.step}: held-out loss ${nats(event.loss)} over ${count(event.tokens)} tokens`);
    else if (event.event === 'checkpoint') this.line(`step ${event.step}: checkpoint ${event.path}`);
    else if (event.event === 'fault') this.line(event.message);
    else if (event.event === 'recovered') {
      const { worker, ms, from, step, repeatedSteps } = event;
      const again = repeatedSteps === 0 ? '' : `; ${count(repeatedSteps)} steps are computed again`;
      this.line(
        `${worker} is back after ${(ms / 1000).toFixed(1)} s with the state of ${sources[from]}; step ${step} opens${again}`,
      );
    }
  }

  /** A line that stays. */
  line(text: string): void {
    this.close();
    this.#options.write(`${text}\n`);
  }

  /** Leaves the rewritten line as it is; what comes next is below it. */
  close(): void {
    if (this.#open) this.#options.write('\n');
    this.#open = false;
  }

  #step(event: StepEvent): void {
    const text = this.#describe(event);
    const { first, end, isTerminal, write } = this.#options;
    if (isTerminal) {
      write(`${REWRITE}${text.slice(0, (this.#options.columns?.() ?? 80) - 1)}`);
      this.#open = true;
    } else if (event.step === first + 1 || event.step === end || event.step % this.#every === 0)
      write(`${text}\n`);
  }

  #describe({ step, loss, tokensPerSecond, mfu, hottest, maxExpertLoad, skipped }: StepEvent): string {
    const hot =
      hottest === null ? [] : [`hottest L${hottest.layer}/e${hottest.expert} ×${maxExpertLoad.toFixed(1)}`];
    const left = (this.#tally.secondsPerStep ?? 0) * (this.#options.end - step);
    return [
      `step ${step}/${this.#options.steps}`,
      `loss ${nats(loss)}`,
      `${count(tokensPerSecond)} tokens/s`,
      `MFU ${percent(mfu)}`,
      ...hot,
      ...(skipped ? ['skipped: the gradient was not finite'] : []),
      `${duration(left)} left`,
    ].join('  ');
  }
}
