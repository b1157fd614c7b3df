import { assert } from '@troupe/core';
import { greatestCommonDivisor } from '@troupe/spec';
import type { HostRun } from './buddies.ts';
import { workerRank, type WorkerRank } from './rank.ts';

/** What a layout knows of a machine. */
export interface Machine {
  readonly host: string;
  readonly devices: readonly unknown[];
}

/** True for names of this machine's loopback. */
export const isLocalHost = (host: string): boolean =>
  ['localhost', '127.0.0.1', '::1'].includes(host.toLowerCase());

const nameOf = (host: string): string => (isLocalHost(host) ? '' : host);

/** Machines in a row, with their devices: worker i has the i-th, unless a list says which. */
export class MachineRow {
  readonly #machines: readonly Machine[];
  /** First rank of each machine, and the number of all. */
  #starts: readonly number[] | null = null;

  readonly #devices: readonly number[] | null;

  /** @param devices - of each worker; null: that of its number */
  constructor(machines: readonly Machine[], devices: readonly number[] | null = null) {
    this.#machines = machines;
    this.#devices = devices;
  }

  /** Which device a worker has, of all in the row. */
  deviceOf(rank: number): number {
    const device = this.#devices === null ? rank : this.#devices[rank];
    assert(device !== undefined, 'every worker has a device', { rank });
    return device;
  }

  get #firsts(): readonly number[] {
    if (this.#starts === null) {
      const starts = [0];
      for (const { devices } of this.#machines) starts.push((starts.at(-1) ?? 0) + devices.length);
      this.#starts = starts;
    }
    return this.#starts;
  }

  get count(): number {
    return this.#machines.length;
  }

  /** The workers on the devices of a machine, by rank. */
  *workersOf(machine: number): Generator<WorkerRank> {
    const [first = 0, end = 0] = this.#firsts.slice(machine, machine + 2);
    if (this.#devices !== null) {
      for (const [rank, device] of this.#devices.entries())
        if (device >= first && device < end) yield workerRank(rank);
      return;
    }
    for (let rank = first; rank < end; rank++) yield workerRank(rank);
  }

  /** Position of the machine that has the device of a worker. */
  machineOf(rank: number): number {
    // One machine has all, whatever its devices are called.
    if (this.count === 1) return 0;
    const starts = this.#firsts;
    const device = this.deviceOf(rank);
    assert(device >= 0 && device < (starts.at(-1) ?? 0), 'every worker has a device', { rank });
    let [low, high] = [0, starts.length - 1];
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2);
      if ((starts[middle] ?? 0) <= device) low = middle;
      else high = middle;
    }
    return low;
  }

  /** The hosts of all devices, in the order of ranks; all names of this very machine are one. */
  get hosts(): readonly HostRun[] {
    if (this.#devices !== null)
      return this.#devices.map((_, rank) => ({
        host: nameOf(this.#machines[this.machineOf(rank)]?.host ?? ''),
        first: rank,
        count: 1,
      }));
    return this.#machines.flatMap(({ host, devices }, index) =>
      devices.length === 0
        ? []
        : [{ host: nameOf(host), first: this.#firsts[index] ?? 0, count: devices.length }],
    );
  }

  /** Neighbours in order that certainly share a machine: what divides the number of devices of every one. */
  get neighbours(): number {
    if (this.#devices !== null) return 1;
    return this.#machines.reduce((size, { devices }) => greatestCommonDivisor(size, devices.length), 0);
  }
}
