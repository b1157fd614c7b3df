import type { Clock, TimerHandle } from '@troupe/core';
import type { WaitingEvent } from '@troupe/telemetry';

/** After a second of waiting, and then every five, people are told for whom. */
const FIRST_MS = 1000;
const EVERY_MS = 5000;

export interface AwaitedMachinesOptions {
  /** Hosts of all machines of the run, by index. */
  readonly hosts: readonly string[];
  readonly clock: Clock;
  readonly report: (event: WaitingEvent) => void;
}

/** Machines whose agents are not there; says now and then which, and for how long the first of them has been waited for. */
export class AwaitedMachines {
  readonly #options: AwaitedMachinesOptions;
  /** Since when each is waited for. */
  readonly #sinceMs = new Map<number, number>();
  #timer: TimerHandle | null = null;

  constructor(options: AwaitedMachinesOptions) {
    this.#options = options;
  }

  await(machine: number): void {
    if (this.#sinceMs.has(machine)) return;
    this.#sinceMs.set(machine, this.#options.clock.now());
    this.#timer ??= this.#options.clock.after(FIRST_MS, () => this.#tell());
  }

  came(machine: number): void {
    this.#sinceMs.delete(machine);
    if (this.#sinceMs.size === 0) this.close();
  }

  /** Says nothing any more. */
  close(): void {
    if (this.#timer !== null) this.#options.clock.cancel(this.#timer);
    this.#timer = null;
    this.#sinceMs.clear();
  }

  #tell(): void {
    const { hosts, clock, report } = this.#options;
    const awaited = [...this.#sinceMs.keys()].sort((a, b) => a - b);
    const seconds = (clock.now() - Math.min(...this.#sinceMs.values())) / 1000;
    this.#timer = clock.after(EVERY_MS, () => this.#tell());
    report({
      event: 'waiting',
      machines: awaited.map((machine) => hosts[machine] ?? ''),
      of: hosts.length,
      seconds,
    });
  }
}
