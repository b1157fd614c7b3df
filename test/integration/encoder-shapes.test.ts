import test from 'ava';
import { resolveTopology } from '@troupe/topology';
import { openSimulator } from 'troupe';

test('shapes only: with an encoder a run goes on behind the loss of a worker, and experts get the rows of a recorded load', async (t) => {
  const topology = resolveTopology({
    model: {
      layers: 4,
      dModel: 32,
      heads: 2,
      seqLen: 16,
      encoder: { layers: 2, seqLen: 24 },
      moe: { every: 2, experts: 4, topK: 1 },
    },
    data: { synthetic: 'zipf', holdout: 0 },
    train: { batch: 8, grains: 8, steps: 4 },
    parallel: { pp: 2, dp: 2, ep: 2 },
    recovery: { buddies: true },
    checkpoint: { every: 0 },
  });
  const load = { counts: [7, 3].map((first) => [first, 1, 1, 1]) };
  const bytesOf = async (options: { readonly load?: typeof load }) => {
    const simulator = await openSimulator(topology, { shapesOnly: true, ...options });
    const lost = { kind: 'crash', target: 'worker/3', atStep: 2 } as const;
    const run = await simulator.run({ seed: 1, steps: 4, faults: [lost] });
    t.is(run.result.exitCode, 0, run.result.error?.message);
    t.is(run.result.step, 4);
    t.is(run.struck.length, 1);
    return Math.max(...run.memory.map(({ bytes }) => bytes));
  };
  t.true((await bytesOf({ load })) > (await bytesOf({})), 'the group of the hottest expert has more rows');
});
