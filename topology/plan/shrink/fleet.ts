import { machineName } from '../../machines.ts';
import { resolveTopology } from '../../resolve.ts';
import type { ResolvedTopology } from '../../resolved.ts';
import type { ShrunkLayout } from './losses.ts';

/** A topology that runs on some machines of a fleet. */
export interface Lineup {
  readonly topology: ResolvedTopology;
  /** Of each of its machines, the place in the fleet. */
  readonly places: readonly number[];
}

/** All machines that a run has had, may have, and has lost. */
export interface Fleet {
  /** The run as it began, on every machine; where a spare one has taken a place, with that. */
  readonly whole: ResolvedTopology;
  /** Places in it of machines that are lost for good. */
  readonly lost: readonly number[];
  /** Machines that stand by, the next one first. */
  readonly spares: readonly string[];
  readonly policy: ResolvedTopology['recovery']['machines'];
  /** Fewest machines with which it goes on. */
  readonly min: number;
}

const namesFrom = (first: number, count: number): readonly string[] =>
  Array.from({ length: count }, (_, index) => machineName(first + index));

/** Machines of a file, one by one, each with its name. */
export function listedMachines({ file, machines }: ResolvedTopology): readonly object[] {
  if (Array.isArray(file.machines)) return file.machines;
  const { count: _count, min: _min, spares: _spares, ...alike } = file.machines;
  return machines.map(({ host }) => ({ host, ...alike }));
}

/**
 * The same run on other machines. What it was written in is kept: paths of its data mean the same.
 *
 * Machines are listed by name from now on, so what the file says of spare ones is no more in it: who lays the run out keeps the fleet.
 */
export function onMachines(
  topology: ResolvedTopology,
  machines: readonly object[],
  set: readonly string[] = [],
): ResolvedTopology {
  const { recovery } = topology;
  const policy = recovery.machines === 'spare' ? 'wait' : recovery.machines;
  const file = { ...topology.file, machines, recovery: { ...recovery, machines: policy }, faults: [] };
  return { ...resolveTopology(file, { set }), source: topology.source };
}

/** The machines of a run that begins. */
export function fleetOf(topology: ResolvedTopology): Fleet {
  const { machines, joining, recovery } = topology;
  const policy = recovery.machines;
  return {
    // One that only waits is never laid out anew.
    whole: policy === 'wait' ? topology : onMachines(topology, listedMachines(topology)),
    lost: [],
    spares: namesFrom(machines.length, joining?.spares ?? 0),
    policy,
    min: policy === 'shrink' && joining !== null ? joining.min : 1,
  };
}

/** The run as it begins, on all of its machines. */
export const firstLineup = (topology: ResolvedTopology): Lineup => ({
  topology,
  places: [...topology.machines.keys()],
});

/** The fleet with spare machines in the places of lost ones, as far as there are any. */
export function takeSpares(fleet: Fleet, lost: readonly number[]): Fleet {
  const { whole, spares } = fleet;
  const taken = new Map(lost.slice(0, spares.length).map((place, index) => [place, spares[index]] as const));
  if (taken.size === 0) return { ...fleet, lost: [...fleet.lost, ...lost] };
  const machines = listedMachines(whole).map((machine, place) => {
    const host = taken.get(place);
    return host === undefined ? machine : { ...machine, host };
  });
  return {
    ...fleet,
    whole: onMachines(whole, machines),
    lost: [...fleet.lost, ...lost.slice(taken.size)],
    spares: spares.slice(taken.size),
  };
}

/** The present layout on the machines that its places have now. */
export function replaced({ topology, places }: Lineup, { whole }: Fleet): Lineup {
  const machines = listedMachines(topology).map((machine, index) => ({
    ...machine,
    host: whole.machines[places[index] ?? -1]?.host ?? '',
  }));
  return { topology: onMachines(topology, machines), places };
}

/** A layout that was found for fewer machines, as a run: reached as before, and with the same policy. */
export function shrunk({ whole }: Fleet, layout: ShrunkLayout): Lineup {
  const { topology, places } = layout;
  const { parallel, train } = topology.file;
  const divided = { ...whole, file: { ...whole.file, parallel, train } };
  return { topology: onMachines(divided, listedMachines(topology)), places };
}
