import type { TroupeError } from '@troupe/core';
import { LauncherError, MachineDiffersError } from '../errors.ts';
import { buildDifference, type AgentLine, type Build } from './agent-protocol.ts';
import { kernelsDifference } from './machine-kernels.ts';

/** What an agent says first. */
export type MachineHere = Omit<Extract<AgentLine, { readonly type: 'here' }>, 'seesDisk'>;

/** Who of the machines of a run has come. AGP-6: each has the programs of the lead and the kernels of the others, and is a machine of its own. */
export class MachineRoll {
  readonly #hosts: readonly string[];
  readonly #own: Build;
  readonly #mayBeOne: boolean;
  readonly #here = new Map<number, MachineHere>();

  /** @param mayBeOne - all of them are this machine, as was asked */
  constructor(hosts: readonly string[], own: Build, mayBeOne: boolean) {
    this.#hosts = hosts;
    this.#own = own;
    this.#mayBeOne = mayBeOne;
  }

  /** @returns why the run cannot go on; null: nothing is wrong */
  come(machine: number, line: MachineHere): TroupeError | null {
    const host = this.#hosts[machine] ?? '';
    const difference = buildDifference(this.#own, line.build);
    if (difference !== null) return new MachineDiffersError(host, `has other programs: ${difference}`);
    for (const [other, { kernels }] of this.#here) {
      if (other === machine) continue;
      const apart = kernelsDifference(line.kernels, { host: this.#hosts[other] ?? '', kernels });
      if (apart !== null) return new MachineDiffersError(host, apart);
    }
    const twin = [...this.#here].find(([other, known]) => other !== machine && isSame(known, line));
    this.#here.set(machine, line);
    if (this.#mayBeOne || twin === undefined) return null;
    return new LauncherError(
      `${this.#hosts[twin[0]]} and ${host} are one machine (${line.hostname}); name it once, with the devices of both`,
    );
  }
}

/** Copies of one image may have the same id, and clusters the same names. */
const isSame = (a: MachineHere, b: MachineHere): boolean =>
  a.machineId !== null && a.machineId === b.machineId && a.hostname === b.hostname;
