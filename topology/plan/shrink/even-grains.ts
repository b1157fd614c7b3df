import { greatestCommonDivisor } from '../../nearest.ts';
import type { ResolvedTopology } from '../../resolved.ts';

const multiple = (a: number, b: number): number => (a / greatestCommonDivisor(a, b)) * b;

/** Replicas of a run on so many of its machines, with all their devices; null: its stages and tensor ranks do not divide them. */
function replicasOn({ machines, parallel }: ResolvedTopology, count: number): number | null {
  const devices = machines.slice(0, count).reduce((sum, each) => sum + each.devices.length, 0);
  const replicas = devices / (parallel.pp * parallel.tp);
  return Number.isInteger(replicas) && replicas > 0 ? replicas : null;
}

export interface EvenGrains {
  /** Numbers of machines on which `train.grains` leaves devices idle, as pp and tp are. */
  readonly uneven: readonly number[];
  /** The nearest `grains` with which none of them does, and the batch that it divides; null: there is none up to a million. */
  readonly nearest: { readonly grains: number; readonly batch: number } | null;
}

const MOST_GRAINS = 2 ** 20;

/** Whether a run keeps all devices busy on every number of machines down to `min`, and with which `grains` it would. */
export function evenGrains(topology: ResolvedTopology, min: number): EvenGrains {
  const { machines, train } = topology;
  const { grains, batch } = train;
  const uneven: number[] = [];
  let needed = 1;
  for (let count = machines.length; count >= min; count--) {
    const replicas = replicasOn(topology, count);
    if (replicas === null) continue;
    if (grains % replicas !== 0) uneven.push(count);
    needed = Math.min(multiple(needed, replicas), MOST_GRAINS + 1);
  }
  if (uneven.length === 0 || needed > MOST_GRAINS) return { uneven, nearest: null };
  const nearest = needed * Math.max(1, Math.round(grains / needed));
  return { uneven, nearest: { grains: nearest, batch: nearest * Math.max(1, Math.round(batch / nearest)) } };
}
