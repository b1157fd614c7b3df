import { HOST_TARGET, hostName } from './host-targets.ts';
import { machineName, type ResolvedMachine } from './machines.ts';

/**
 * What rules of `placement` call devices and hosts: by the host of their machine, `box/cpu:0`, or by its place, `m1/cpu:0`. A host that is
 * called like a place, m1, comes first.
 */
export class DeviceTargets {
  /** `box/cpu:0` of every device, in the order of ranks. */
  readonly devices: readonly string[];
  /** `box/host:0` of every machine. */
  readonly hosts: readonly string[];
  readonly #deviceOf = new Map<string, number>();
  readonly #hostOf = new Map<string, number>();

  constructor(machines: readonly ResolvedMachine[]) {
    this.devices = machines.flatMap(({ host, devices }) => devices.map(({ id }) => `${host}/${id}`));
    this.hosts = machines.map(({ host }) => hostName(host));
    note(this.#deviceOf, this.devices);
    note(this.#hostOf, this.hosts);
    note(
      this.#deviceOf,
      machines.flatMap(({ devices }, machine) => devices.map(({ id }) => `${machineName(machine)}/${id}`)),
    );
    note(
      this.#hostOf,
      machines.map((_, machine) => hostName(machineName(machine))),
    );
  }

  /** Position of a device among those of all machines; null: there is none of this name. */
  deviceOf(target: string): number | null {
    return this.#deviceOf.get(target) ?? null;
  }

  /** True for a device, for the host of a machine, and for that of whatever machine a device is on. */
  has(target: string): boolean {
    return this.#deviceOf.has(target) || this.isHost(target);
  }

  isHost(target: string): boolean {
    return target === HOST_TARGET || this.#hostOf.has(target);
  }

  /** The same device or host by the name of its machine's host. */
  canonical(target: string): string {
    const device = this.#deviceOf.get(target);
    if (device !== undefined) return this.devices[device] ?? target;
    return this.hosts[this.#hostOf.get(target) ?? -1] ?? target;
  }

  /** Every name. */
  get all(): readonly string[] {
    return [...this.#deviceOf.keys(), HOST_TARGET, ...this.#hostOf.keys()];
  }
}

/** Of several things with one name the first has it. */
function note(into: Map<string, number>, names: readonly string[]): void {
  for (const [index, name] of names.entries()) if (!into.has(name)) into.set(name, index);
}
