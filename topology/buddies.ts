import { isLocalHost } from './machines.ts';
import type { ResolvedTopology } from './resolved.ts';

/**
 * How many data-parallel ranks after a worker its buddy is: the least shift that puts most of them on another machine than their ward.
 *
 * One shift for all makes a buddy of every worker exactly once, so no device keeps more than one copy of each class.
 *
 * @returns 0 without `recovery.buddies`, and where there is no other worker
 */
export function buddyShift({ recovery, parallel, machines }: ResolvedTopology): number {
  const { dp, tp } = parallel;
  if (!recovery.buddies || dp === 1) return 0;
  const hosts = machines.flatMap(({ host, devices }) => devices.map(() => (isLocalHost(host) ? '' : host)));
  const apart = (shift: number): number =>
    hosts.filter((host, rank) => {
      const place = Math.floor(rank / tp);
      const dpRank = place % dp;
      return host !== hosts[(place - dpRank + ((dpRank + shift) % dp)) * tp + (rank % tp)];
    }).length;
  if (new Set(hosts).size === 1) return 1;
  let best = { shift: 1, count: apart(1) };
  for (let shift = 2; shift < dp && best.count < hosts.length; shift++) {
    const count = apart(shift);
    if (count > best.count) best = { shift, count };
  }
  return best.shift;
}
