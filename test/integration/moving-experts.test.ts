import test from 'ava';
import { openReferenceDevice } from '@troupe/kernels';
import type { Fault } from '@troupe/sim/faults';
import { referenceOf, simulate, type Simulation, type SimulationOptions } from 'troupe';
import type { Mixture } from '../mixtures/mixture.ts';
import { mixedCluster, type Surroundings } from '../sim/clusters.ts';
import { usual } from '../sim/corpus.ts';
import { numbersOf } from './struck-tiny.ts';

const run = (
  mixture: Partial<Mixture>,
  around: Partial<Surroundings> = {},
  options: Partial<SimulationOptions> = {},
): Promise<Simulation> => {
  const { topology, tokens } = mixedCluster(
    { ...usual, experts: 'balanced', ...mixture },
    { losses: 20, latencyMs: 0.5, ...around },
  );
  const openDevice = async () => openReferenceDevice({ dtype: 'f32' });
  return simulate(topology, { seed: 3, openDevice, tokens, checkpoints: true, ...options });
};

const movesOf = ({ events }: Simulation) =>
  events.flatMap((event) => (event.event === 'experts' ? [event] : []));

test('moving experts: the numbers are those of experts that stay', async (t) => {
  const still = await run({ dp: 3, ep: 3, experts: 'contiguous' });
  const moved = await run({ dp: 3, ep: 3 });
  t.log(JSON.stringify(movesOf(moved)));
  t.is(moved.result.error, null);
  t.is(moved.violation, null);
  t.true(movesOf(moved).length > 0);
  t.deepEqual(numbersOf(moved), numbersOf(still));
});
