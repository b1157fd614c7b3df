import { assert } from '@troupe/core';
import type { ResolvedTopology } from '@troupe/topology';
import type { Calibration } from 'troupe';

/** Steps of a simulation that a time is taken from; those before the last are on their way to the pace of a run. */
const SIMULATED_STEPS = 3;

/** Seconds of a step of a topology, as a simulation of shapes under a calibration has it. */
export async function simulatedStepSeconds(
  topology: ResolvedTopology,
  calibration: Calibration,
): Promise<number> {
  const { openSimulator } = await import('troupe');
  const simulator = await openSimulator(topology, { calibration, shapesOnly: true });
  const steps = Math.min(SIMULATED_STEPS, topology.train.steps);
  const { events } = await simulator.run({ seed: 1, steps, faults: [] });
  const last = events.findLast((event) => event.event === 'step');
  assert(last !== undefined, 'a run without faults reports its steps');
  return last.tokens / last.tokensPerSecond;
}
