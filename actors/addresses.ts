import type { Address } from '@troupe/core';
import { addresses as names } from '@troupe/topology/layout';

/** Names of the actors while pipeline and tensor axes are 1; the topology's placement says where each lives. */
export const addresses = {
  trainer: names.trainer,
  supervisor: names.supervisor,
  store: (machine: number): Address => names.store(machine),
  feeder: (dp: number): Address => names.feeder({ dp }),
  stage: (dp: number): Address => names.stage({ pp: 0, dp, tp: 0 }),
  gate: (layer: number, dp: number): Address => names.gate(layer, { pp: 0, dp }),
  expert: (layer: number, ep: number, edp: number): Address => names.expert(layer, { ep, edp }),
  optimizer: (parameterClass: 'dense' | 'expert', dp: number): Address =>
    names.optimizer(parameterClass, { pp: 0, dp, tp: 0 }),
} as const;
