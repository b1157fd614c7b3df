import type { MachineRow } from './machine-row.ts';
import type { Mesh } from './mesh.ts';
import type { WorkerRank } from './rank.ts';

/**
 * How many data-parallel ranks after a worker its buddy is: the least shift that puts most of them on another machine than their ward.
 *
 * One shift for all makes a buddy of every worker exactly once, so no device keeps more than one copy of each group.
 *
 * @returns 0 where there is no other worker on the data axis
 */
export function buddyShift(mesh: Mesh, machines: MachineRow): number {
  const { dp, tp, world } = mesh;
  if (dp === 1) return 0;
  if (machines.hasOneHost) return 1;
  const hosts = machines.hosts;
  const apart = (shift: number): number => {
    let count = 0;
    for (let rank = 0; rank < world; rank++) {
      const data = Math.floor(rank / tp) % dp;
      const buddy = rank + (((data + shift) % dp) - data) * tp;
      if (hosts[rank] !== hosts[buddy]) count++;
    }
    return count;
  };
  let best = { shift: 1, count: apart(1) };
  for (let shift = 2; shift < dp && best.count < world; shift++) {
    const count = apart(shift);
    if (count > best.count) best = { shift, count };
  }
  return best.shift;
}

/** The worker so many places further on along the data axis, around its end. */
export function shifted(mesh: Mesh, rank: WorkerRank, shift: number): WorkerRank {
  const at = mesh.coordinates(rank);
  return mesh.rankOf({ ...at, dp: (at.dp + shift + mesh.dp) % mesh.dp });
}
