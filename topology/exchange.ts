import { exchangeLevels, greatestCommonDivisor, type ExchangeLevel } from '@troupe/spec';
import type { ResolvedTopology } from './resolved.ts';

/** How the holders of dense and of expert parameters exchange gradients and weights, level by level. */
export interface ExchangeOfClasses {
  readonly dense: readonly ExchangeLevel[];
  readonly expert: readonly ExchangeLevel[];
}

/** Neighbours in order that certainly share a machine: what divides the number of devices of every machine. */
function neighbours({ machines, parallel }: ResolvedTopology): number {
  if (parallel.pp * parallel.tp > 1) return 1;
  return machines.reduce((size, { devices }) => greatestCommonDivisor(size, devices.length), 0);
}

/** The levels of a topology: machines first, then groups of `wire.fanout`. Holders of the same experts are `ep` devices apart. */
export function exchangeOf(topology: ResolvedTopology): ExchangeOfClasses {
  const { dp, ep, edp } = topology.parallel;
  const { fanout } = topology.wire;
  const perMachine = neighbours(topology);
  return {
    dense: exchangeLevels(dp, { perMachine, fanout }),
    expert: exchangeLevels(edp, { perMachine: Math.max(1, Math.floor(perMachine / ep)), fanout }),
  };
}
