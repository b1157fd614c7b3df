import { argv, stdout } from 'node:process';
import { fileURLToPath } from 'node:url';
import { openReferenceDevice } from '@troupe/kernels';
import { simulate, type Simulation, type SimulationOptions } from 'troupe';
import { tinyTokens, tinyTopology } from './tiny-cluster.ts';

/** Two replicas of the tiny model in virtual time. */
export function simulatedTiny(seed: number, options: Partial<SimulationOptions> = {}): Promise<Simulation> {
  return simulate(tinyTopology({ dp: 2, ep: 2, steps: 2 }), {
    seed,
    openDevice: async () => openReferenceDevice({ dtype: 'f32' }),
    tokens: tinyTokens,
    ...options,
  });
}

// As a program of its own it prints the trace's hash: `node sim-tiny.js SEED`.
if (argv[1] === fileURLToPath(import.meta.url)) {
  const { traceHash, virtualMs, numEvents } = await simulatedTiny(Number(argv[2]));
  stdout.write(JSON.stringify({ traceHash, virtualMs, numEvents }));
}
