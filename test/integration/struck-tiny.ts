import type { Fault, FaultCondition } from '@troupe/sim/faults';
import { openReferenceDevice } from '@troupe/kernels';
import type { ResolvedTopology } from '@troupe/topology';
import { simulate, type Simulation, type SimulationOptions } from 'troupe';
import { tinyTokens, tinyTopology, type TinyLayout } from './tiny-cluster.ts';

/** Five steps, a checkpoint after every second one. */
export function withCheckpoints(layout: TinyLayout): ResolvedTopology {
  const topology = tinyTopology({ steps: 5, ...layout });
  return { ...topology, checkpoint: { ...topology.checkpoint, every: 2 } };
}

/** A tiny cluster on the reference body, always of the same seed. */
export const simulateTiny = (
  topology: ResolvedTopology,
  options: Partial<SimulationOptions> = {},
): Promise<Simulation> =>
  simulate(topology, {
    seed: 3,
    openDevice: async () => openReferenceDevice({ dtype: 'f32' }),
    tokens: tinyTokens,
    ...options,
  });

/** Every number of a run that neither a loss nor a buddy may change, bit for bit. */
export const numbersOf = ({ events }: Simulation): readonly unknown[] =>
  events.flatMap((event): readonly unknown[] => {
    if (event.event === 'eval') return [event];
    if (event.event !== 'step') return [];
    const { step, loss, auxLoss, gradNorm, learningRate, tokens, maxExpertLoad, skipped } = event;
    return [{ step, loss, auxLoss, gradNorm, learningRate, tokens, maxExpertLoad, skipped }];
  });

export const crash = (worker: number, when: FaultCondition | number): Fault => ({
  kind: 'crash',
  target: `worker/${worker}`,
  ...(typeof when === 'number' ? { atStep: when } : { when }),
});
