import type { Fault } from '@troupe/sim/faults';
import { createPlacement, matchesAddress, type ResolvedTopology } from '@troupe/topology';

/** A layout of a simulated run: where its machines stand among all that the run has, and when it begins. */
export interface LayoutPlace {
  readonly topology: ResolvedTopology;
  readonly places: readonly number[];
  /** Virtual time, of the whole run. */
  readonly fromMs: number;
}

const byMachine = /^(machine|agent|disk)\/(\d+)$/u;

/** What a part of a target is called in a layout; null: it is not there. */
function targetIn(target: string, { topology, places }: LayoutPlace): string | null {
  const [, role = '', number = ''] = byMachine.exec(target) ?? [];
  if (role !== '') {
    const machine = places.indexOf(Number(number));
    return machine < 0 ? null : `${role}/${machine}`;
  }
  const { nodes, actors } = createPlacement(topology);
  const isThere =
    nodes.some(({ id }) => id === target) || actors.some(({ address }) => matchesAddress(target, address));
  return isThere ? target : null;
}

/**
 * Faults as a later layout has them, with those that they were: machines keep their numbers in the words of who planned the faults, and
 * everything else is called as the layout calls it. What strikes somebody who is not there waits for a layout with him.
 */
export function faultsIn(faults: readonly Fault[], layout: LayoutPlace): ReadonlyMap<Fault, Fault> {
  const found = new Map<Fault, Fault>();
  for (const fault of faults) {
    const parts = fault.target.split(',').map((target) => targetIn(target, layout));
    if (parts.includes(null)) continue;
    const atMs = fault.atMs === undefined ? {} : { atMs: Math.max(0, fault.atMs - layout.fromMs) };
    found.set({ ...fault, target: parts.join(','), ...atMs }, fault);
  }
  return found;
}
