import type { Span } from './shares.ts';
import type { CallTuple } from './record.ts';

/** What the machine can do, of one device. */
export interface MachineRates {
  /** Floating-point operations per second; null: not measured. */
  readonly flops: number | null;
  /** Bytes per second, read plus written; null: not measured. */
  readonly bytes: number | null;
}

/**
 * What keeps a line from being faster: `arithmetic` or `memory` when it reaches half of that rate, `cache` beyond the memory's rate; else
 * `calls` (calls too short to share out), `threads` (they were idle for a third of it or more) or `instructions` (work that FLOPs do not count:
 * conversions, exponentials, indices). null: rates are not known.
 */
export type Bound = 'arithmetic' | 'memory' | 'cache' | 'calls' | 'threads' | 'instructions';

/** All calls of one operation and one shape, a step and device. */
export interface ProfileLine {
  readonly op: string;
  readonly shape: string;
  /** Calls a step. */
  readonly calls: number;
  /** Milliseconds a step. */
  readonly ms: number;
  /** Share of the step's time. */
  readonly share: number;
  /** Floating-point operations and compulsory bytes a step. */
  readonly flops: number;
  readonly bytes: number;
  /** Share of the peak or of the bandwidth, whichever asks for more time; null without measured rates. */
  readonly ofRate: number | null;
  /** Which of the two that is. */
  readonly rate: 'flops' | 'bytes';
  readonly bound: Bound | null;
}

const ENOUGH = 0.5;
const SHORT_MS = 0.05;
const BUSY_ENOUGH = 2 / 3;

interface Sums {
  op: string;
  shape: string;
  calls: number;
  ms: number;
  flops: number;
  bytes: number;
  /** Threads times milliseconds, and how much of it they spent in loops; zeros when the body does not tell. */
  threadMs: number;
  busyMs: number;
}

/** Adds up calls by operation and shape. */
export class LineTally {
  readonly #lines = new Map<string, Sums>();
  readonly #windows: readonly Span[];

  /** @param windows - steps that count, in order of time; a call belongs to one by its start, and is cut at its end */
  constructor(windows: readonly Span[]) {
    this.#windows = windows;
  }

  add([op, shape, flops, bytes, start, end, ...threads]: CallTuple): void {
    const window = this.#windowAt(start);
    if (window === undefined || start >= window.end) return;
    const key = `${op} ${shape}`;
    let sums = this.#lines.get(key);
    if (sums === undefined) {
      sums = { op, shape, calls: 0, ms: 0, flops: 0, bytes: 0, threadMs: 0, busyMs: 0 };
      this.#lines.set(key, sums);
    }
    const ms = Math.min(end, window.end) - start;
    sums.calls++;
    sums.ms += ms;
    sums.flops += flops;
    sums.bytes += bytes;
    sums.threadMs += (threads.length / 3) * ms;
    for (let at = 2; at < threads.length; at += 3) sums.busyMs += threads[at] ?? 0;
  }

  /** The last window that has started. */
  #windowAt(time: number): Span | undefined {
    let [low, high] = [0, this.#windows.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#windows[middle]?.start ?? Infinity) <= time) low = middle + 1;
      else high = middle;
    }
    return this.#windows[low - 1];
  }

  /**
   * @param numDeviceSteps - devices times steps: what the sums are divided by
   * @param stepMs - mean time of a step
   * @returns lines, the most expensive first
   */
  lines(numDeviceSteps: number, stepMs: number, rates: MachineRates): readonly ProfileLine[] {
    return [...this.#lines.values()]
      .sort((a, b) => b.ms - a.ms || (a.op + a.shape < b.op + b.shape ? -1 : 1))
      .map((sums) => ({
        op: sums.op,
        shape: sums.shape,
        calls: sums.calls / numDeviceSteps,
        ms: sums.ms / numDeviceSteps,
        share: sums.ms / numDeviceSteps / stepMs,
        flops: sums.flops / numDeviceSteps,
        bytes: sums.bytes / numDeviceSteps,
        ...judged(sums, rates),
      }));
  }
}

function judged(sums: Sums, rates: MachineRates): Pick<ProfileLine, 'ofRate' | 'rate' | 'bound'> {
  const flopsMs = rates.flops === null ? null : (1000 * sums.flops) / rates.flops;
  const bytesMs = rates.bytes === null ? null : (1000 * sums.bytes) / rates.bytes;
  if (flopsMs === null || bytesMs === null || sums.ms === 0)
    return { ofRate: null, rate: sums.flops > 0 ? 'flops' : 'bytes', bound: null };
  const rate = flopsMs >= bytesMs ? 'flops' : 'bytes';
  const ofRate = Math.max(flopsMs, bytesMs) / sums.ms;
  return { ofRate, rate, bound: boundOf(sums, rate, ofRate) };
}

function boundOf(sums: Sums, rate: 'flops' | 'bytes', ofRate: number): Bound {
  if (ofRate >= ENOUGH) return rate === 'flops' ? 'arithmetic' : ofRate > 1 ? 'cache' : 'memory';
  if (sums.ms / sums.calls < SHORT_MS) return 'calls';
  return sums.threadMs > 0 && sums.busyMs / sums.threadMs < BUSY_ENOUGH ? 'threads' : 'instructions';
}
