import { address, type Address } from '@troupe/core';

/** Names of the actors; where each lives is the placement's business. */
export const addresses = {
  trainer: address('trainer'),
  supervisor: address('supervisor'),
  store: (machine: number): Address => address(`store/m${machine}`),
  feeder: (dp: number): Address => address(`feeder/dp${dp}`),
  stage: (dp: number): Address => address(`stage/pp0/dp${dp}/tp0`),
  gate: (layer: number, dp: number): Address => address(`gate/L${layer}/pp0/dp${dp}`),
  expert: (layer: number, ep: number, edp: number): Address => address(`expert/L${layer}/ep${ep}/edp${edp}`),
  optimizer: (parameterClass: 'dense' | 'expert', dp: number): Address => address(`optimizer/${parameterClass}/dp${dp}`),
} as const;
