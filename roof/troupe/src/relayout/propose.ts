import {
  fleetOf,
  machineName,
  nearestName,
  resolveTopology,
  shrunk,
  withoutMachines,
  type ResolvedTopology,
} from '@troupe/topology';
import { DrainError } from '../errors.ts';
import { machineMemory } from '../machine-memory.ts';
import { migrated } from './migrate.ts';
import type { RelayoutAsk } from './relayout-ask.ts';

/** Memory of one device: what machines say, or its share of this one's, where all are this one; else nobody knows. */
function deviceMemory({ machines, launcher }: ResolvedTopology): number {
  const said = machines.flatMap(({ speed }) => speed?.memoryBytes ?? []);
  if (said.length === machines.length) return Math.min(...said);
  if (launcher !== null && launcher.kind !== 'local') return Infinity;
  return machineMemory().bytes / machines.reduce((sum, { devices }) => sum + devices.length, 0);
}

/** The fastest layout on the other machines that keeps every number: the one that would follow the loss of this one. */
function drained(present: ResolvedTopology, machine: string): ResolvedTopology {
  const hosts = present.machines.map(({ host }) => host);
  const byHost = hosts.indexOf(machine);
  // Where machines are called so themselves, m1 is that one, wherever it stands by now.
  const areNumbered = hosts.some((host) => /^m\d+$/u.test(host));
  const index = byHost >= 0 || areNumbered ? byHost : hosts.findIndex((_, at) => machineName(at) === machine);
  if (index < 0) {
    const nearest = nearestName(machine, hosts);
    const hint = nearest === null ? '' : `; did you mean ${nearest}?`;
    throw new DrainError(machine, `the run has ${hosts.join(', ')}, and no such machine${hint}`);
  }
  const fleet = fleetOf(present);
  const loss = withoutMachines(fleet.whole, [index], { memoryBytes: deviceMemory(present), min: fleet.min });
  if (loss.layout === null) throw new DrainError(machine, loss.why ?? 'no layout is left');
  return shrunk(fleet, loss.layout).topology;
}

/**
 * What is asked of a run as a topology of it. Whether that is the same run is for {@link mustFollow} to say.
 *
 * @throws {DrainError} TROUPE_DRAIN · {TopologyError} TROUPE_TOPOLOGY_INVALID with every problem
 */
export function proposeRelayout(present: ResolvedTopology, ask: RelayoutAsk): ResolvedTopology {
  if (ask.kind === 'drain') return drained(present, ask.machine);
  return ask.kind === 'migrate' ? migrated(present, ask.pattern, ask.target) : resolveTopology(ask.file);
}
