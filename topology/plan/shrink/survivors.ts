import type { ResolvedTopology } from '../../resolved.ts';

/** Positions of machines that are left. */
export const leftOf = ({ machines }: ResolvedTopology, lost: readonly number[]): readonly number[] =>
  Array.from(machines.keys()).filter((machine) => !lost.includes(machine));

/** How many devices each of some machines uses: as even as there are, and the first ones of the machines that use one more. */
export function shareDevices(available: readonly number[], world: number): readonly number[] {
  const used = available.map(() => 0);
  let left = Math.min(
    world,
    available.reduce((sum, devices) => sum + devices, 0),
  );
  while (left > 0)
    for (const [machine, devices] of available.entries())
      if (left > 0 && (used[machine] ?? 0) < devices) {
        used[machine] = (used[machine] ?? 0) + 1;
        left--;
      }
  return used;
}

/** Positions of the machines that are left of which `world` devices in all compute on at least one. */
export function computingOf(
  { machines }: ResolvedTopology,
  left: readonly number[],
  world: number,
): readonly number[] {
  const used = shareDevices(
    left.map((index) => machines[index]?.devices.length ?? 0),
    world,
  );
  return left.filter((_, position) => (used[position] ?? 0) > 0);
}

/**
 * The file of a topology on the machines that are left, of which `world` devices compute. Machines keep their names. How they are reached, and
 * what would follow another loss, is left out: neither is about how the work is divided.
 */
export function survivingFile(topology: ResolvedTopology, left: readonly number[], world: number): object {
  const { launcher: _reached, ...file } = topology.file;
  const machines = left.flatMap((index) => topology.machines[index] ?? []);
  const used = shareDevices(
    machines.map(({ devices }) => devices.length),
    world,
  );
  const written = Array.isArray(file.machines) ? file.machines : [file.machines];
  return {
    ...file,
    machines: machines.flatMap(({ host, body }, position) => {
      const { devices = [], speed } = written[left[position] ?? 0] ?? written[0] ?? {};
      const computing = devices.slice(0, used[position]);
      return computing.length === 0
        ? []
        : [{ host, body, devices: computing, ...(speed === undefined ? {} : { speed }) }];
    }),
    faults: [],
    recovery: { ...file.recovery, machines: 'wait' },
  };
}
