import type { RunEvent, StepEvent, WaitingEvent } from '@troupe/telemetry';
import { count, duration, nats, percent } from './numbers.ts';
import type { Tally } from './tally.ts';
import { describeRelayout } from './relayout-words.ts';
import { describeProgress } from './task-progress.ts';

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
  /** Elsewhere than on a terminal: whether a step between the first and the last is shown. Default: thirty of a run are. */
  readonly isDue?: () => boolean;
  /** Columns of the terminal: a longer line would wrap and could not be rewritten. Default, and where it says 0, 80. */
  readonly columns?: () => number | undefined;
  readonly write: (text: string) => void;
}

/** Where state comes from, for people. */
const sources = {
  peers: 'other workers',
  snapshot: 'the last checkpoint',
  seed: 'the beginning',
} as const;

/** Hosts that are named; of more, how many. */
const MOST_NAMED = 8;

/** `waiting for 3 of 8 machines (gpu-4, gpu-6, gpu-7) for 40 s`. */
function describeWaiting({ machines, of, seconds }: WaitingEvent): string {
  const more = machines.length - MOST_NAMED;
  const named = [...machines.slice(0, MOST_NAMED), ...(more > 0 ? [`${more} more`] : [])];
  return `waiting for ${machines.length} of ${of} machines (${named.join(', ')}) for ${seconds.toFixed(0)} s`;
}

/** Shows a run to people while it goes. */
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
    else if (event.event === 'progress') this.#rewrite(describeProgress(event));
    else if (event.event === 'waiting') this.#rewrite(describeWaiting(event));
    else if (event.event === 'eval')
      this.line(`step ${event.step}: held-out loss ${nats(event.loss)} over ${count(event.tokens)} tokens`);
    else if (event.event === 'checkpoint') this.line(`step ${event.step}: checkpoint ${event.path}`);
    else if (event.event === 'fault') this.line(event.message);
    else if (event.event === 'experts')
      this.line(
        `step ${event.step}: ${count(event.moved)} experts sit in other groups; the fullest ones get ${(event.gain * 100).toFixed(0)} % fewer rows`,
      );
    else if (event.event === 'relayout') this.line(describeRelayout(event));
    else if (event.event === 'recovered') {
      const { worker, ms, from, step, repeatedSteps } = event;
      const again =
        repeatedSteps === 0
          ? ''
          : `; ${repeatedSteps === 1 ? '1 step is' : `${count(repeatedSteps)} steps are`} computed again`;
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

  /** On a terminal it is gone with the next line, elsewhere it is one. */
  #rewrite(text: string): void {
    const { isTerminal, columns, write } = this.#options;
    write(isTerminal ? `${REWRITE}${text.slice(0, (columns?.() || 80) - 1)}` : `${text}\n`);
    this.#open = isTerminal;
  }

  #step(event: StepEvent): void {
    const parts = this.#describe(event);
    const { first, end, isTerminal, isDue, columns, write } = this.#options;
    if (isTerminal) {
      // A terminal that does not know its width says 0.
      write(`${REWRITE}${fitted(parts, (columns?.() || 80) - 1)}`);
      this.#open = true;
    } else if (
      event.step === first + 1 ||
      event.step === end ||
      (isDue?.() ?? event.step % this.#every === 0)
    )
      write(`${parts.map(({ text }) => text).join(GAP)}\n`);
  }

  #describe({
    step,
    loss,
    tokensPerSecond,
    mfu,
    hottest,
    maxExpertLoad,
    dropRate,
    skipped,
  }: StepEvent): readonly Part[] {
    const left = (this.#tally.secondsPerStep ?? 0) * (this.#options.end - step);
    const parts: readonly (Part | null)[] = [
      { text: `step ${step}/${this.#options.steps}`, rank: 0 },
      { text: `loss ${nats(loss)}`, rank: 1 },
      { text: `${count(tokensPerSecond)} tokens/s`, rank: 4 },
      { text: `MFU ${percent(mfu)}`, rank: 6 },
      hottest === null
        ? null
        : { text: `hottest L${hottest.layer}/e${hottest.expert} ×${maxExpertLoad.toFixed(1)}`, rank: 5 },
      dropRate === 0 ? null : { text: `dropped ${percent(dropRate)}`, rank: 5 },
      skipped ? { text: 'skipped: the gradient was not finite', rank: 2 } : null,
      { text: `${duration(left)} left`, rank: 3 },
    ];
    return parts.filter((part) => part !== null);
  }
}

/** A part of the progress line; where there is no room for all, the lowest ranks stay. */
interface Part {
  readonly text: string;
  readonly rank: number;
}

const GAP = '  ';

/** As many parts as there is room for, in their order; the most important one is cut where it alone is too long. */
function fitted(parts: readonly Part[], columns: number): string {
  const line = parts.map(({ text }) => text).join(GAP);
  if (line.length <= columns || parts.length <= 1) return line.slice(0, columns);
  const last = Math.max(...parts.map(({ rank }) => rank));
  return fitted(
    parts.filter(({ rank }) => rank !== last),
    columns,
  );
}
