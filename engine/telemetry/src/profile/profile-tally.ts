import { LineTally, type MachineRates, type ProfileLine } from './lines.ts';
import type { ProfileRecord, StepRecord } from './record.ts';
import { timeShares, type LoopActivity, type Span, type TimeShares } from './shares.ts';

/** What a profile says in numbers: means over devices and steps. */
export interface ProfileFigures {
  readonly numSteps: number;
  readonly numDevices: number;
  /** Mean time of a step, milliseconds. */
  readonly stepMs: number;
  /** Milliseconds a step; the four add up to `stepMs`. */
  readonly shares: TimeShares;
  /** The most expensive first; their `ms` add up to `shares.kernels` where calls do not overlap. */
  readonly lines: readonly ProfileLine[];
}

/** The records of one process that its figures need. */
class NodeTally {
  readonly #activities: LoopActivity[] = [];
  readonly #kernels: Span[] = [];
  readonly #lines: LineTally;
  #hasDevice = false;

  constructor(lines: LineTally) {
    this.#lines = lines;
  }

  add(record: ProfileRecord): void {
    if (record.kind === 'node') this.#hasDevice ||= record.device !== null;
    if (record.kind === 'list') {
      for (const call of record.calls) {
        this.#kernels.push({ start: call[4], end: call[5] });
        this.#lines.add(call);
      }
    }
    if (record.kind === 'turn' || record.kind === 'receive' || record.kind === 'list') {
      const { start, end, slept } = record;
      this.#activities.push({ start, end, slept, isMessage: record.kind === 'receive' });
    }
  }

  get hasDevice(): boolean {
    return this.#hasDevice;
  }

  shares(windows: readonly Span[]): TimeShares {
    return timeShares(this.#activities, this.#kernels, windows);
  }
}

/** Adds up a profile. Records of each process come in their order, processes one after the other. */
export class ProfileTally {
  readonly #windows: readonly Span[];
  readonly #lines: LineTally;
  readonly #nodes: NodeTally[] = [];

  /** @param steps - those that count, in order */
  constructor(steps: readonly StepRecord[]) {
    this.#windows = steps;
    this.#lines = new LineTally(steps);
  }

  beginNode(): void {
    this.#nodes.push(new NodeTally(this.#lines));
  }

  add(record: ProfileRecord): void {
    this.#nodes.at(-1)?.add(record);
  }

  figures(rates: MachineRates): ProfileFigures {
    const devices = this.#nodes.filter((node) => node.hasDevice);
    const numSteps = this.#windows.length;
    const totalMs = this.#windows.reduce((sum, { start, end }) => sum + end - start, 0);
    const stepMs = numSteps === 0 ? 0 : totalMs / numSteps;
    const numDeviceSteps = Math.max(1, devices.length * numSteps);
    const shares = { kernels: 0, messages: 0, eventLoop: 0, idle: 0 };
    for (const node of devices) {
      const own = node.shares(this.#windows);
      for (const key of ['kernels', 'messages', 'eventLoop', 'idle'] as const)
        shares[key] += own[key] / numDeviceSteps;
    }
    return {
      numSteps,
      numDevices: devices.length,
      stepMs,
      shares,
      lines: this.#lines.lines(numDeviceSteps, stepMs, rates),
    };
  }
}
