import type { ElementRange } from '@troupe/spec';
import { Layout } from '../../layout/layout.ts';
import type { ResolvedTopology } from '../../resolved.ts';

/** Elements of units, by the unit. */
type Held = Map<string, ElementRange[]>;

/** Rising, none touching another. */
function joined(ranges: readonly ElementRange[]): readonly ElementRange[] {
  const found: { from: number; to: number }[] = [];
  for (const { from, to } of ranges.toSorted((a, b) => a.from - b.from)) {
    const last = found.at(-1);
    if (last !== undefined && from <= last.to) last.to = Math.max(last.to, to);
    else found.push({ from, to });
  }
  return found;
}

const lengthOf = (ranges: readonly ElementRange[]): number =>
  joined(ranges).reduce((sum, { from, to }) => sum + to - from, 0);

/** What the shards of each machine hold, weights and moments alike. */
function heldByMachine(topology: ResolvedTopology): readonly Held[] {
  const layout = new Layout(topology);
  const machines = topology.machines.map((): Held => new Map());
  for (const worker of layout.workers()) {
    const held = machines[layout.machineOf(worker)];
    for (const group of layout.groupsOf(worker)) {
      const owned = layout.ownedBy(group, worker);
      const { units, starts } = group.flat;
      for (const [index, { id, segment, size }] of units.entries()) {
        const start = starts[index] ?? 0;
        const [from, to] = [Math.max(owned.from, start), Math.min(owned.to, start + size)];
        if (from >= to) continue;
        const key = `${id}/${segment ?? ''}`;
        const ranges = held?.get(key) ?? [];
        ranges.push({ from: from - start, to: to - start });
        held?.set(key, ranges);
      }
    }
  }
  return machines;
}

/** Weight and two moments. */
const STATE_BYTES = 12;

/**
 * Bytes of weights and moments that machines have to get from others before a run goes on.
 *
 * @param left - position before of each machine after
 */
export function movedBytes(
  before: ResolvedTopology,
  after: ResolvedTopology,
  left: readonly number[],
): number {
  const had = heldByMachine(before);
  let elements = 0;
  for (const [machine, wanted] of heldByMachine(after).entries()) {
    const here = had[left[machine] ?? -1];
    for (const [unit, ranges] of wanted) {
      const known = here?.get(unit) ?? [];
      // What is in both is counted once in their union.
      elements += lengthOf([...ranges, ...known]) - lengthOf(known);
    }
  }
  return STATE_BYTES * elements;
}
