import test from 'ava';
import { openReferenceDevice } from '@troupe/kernels';
import type { Fault, FaultCondition } from '@troupe/core';
import { simulate, type Simulation, type SimulationOptions } from 'troupe';
import { tinyTokens, tinyTopology, type TinyLayout } from './tiny-cluster.ts';

const run = (layout: TinyLayout, options: Partial<SimulationOptions> = {}): Promise<Simulation> =>
  simulate(tinyTopology({ steps: 3, ...layout }), {
    seed: 3,
    openDevice: async () => openReferenceDevice({ dtype: 'f32' }),
    tokens: tinyTokens,
    ...options,
  });

/** Every number of a run that a loss must not change, bit for bit. */
const numbersOf = ({ events }: Simulation): readonly unknown[] =>
  events.flatMap((event): readonly unknown[] => {
    if (event.event === 'eval') return [event];
    if (event.event !== 'step') return [];
    const { step, loss, auxLoss, gradNorm, learningRate, tokens, maxExpertLoad, skipped } = event;
    return [{ step, loss, auxLoss, gradNorm, learningRate, tokens, maxExpertLoad, skipped }];
  });

const recoveries = ({ events }: Simulation) =>
  events.flatMap((event) => (event.event === 'recovered' ? [event] : []));

/** Where a step stands when a worker dies. Two layers: a worker's gates and experts enter each state twice a step. */
const phases = (
  dp: number,
  layout: (typeof layouts)[number],
): Readonly<Record<string, FaultCondition | number>> => ({
  'while parameters are drawn': 0,
  'while shards publish for the first time': { actor: `optimizer/dense/dp${dp}`, state: 'collecting' },
  'when a step has been opened': { actor: 'trainer', state: 'training', times: 2 },
  'in the middle of the forward pass': { actor: `gate/L1/pp0/dp${dp}`, state: 'awaitingRows', times: 2 },
  'in the middle of the backward pass': {
    actor: `gate/L1/pp0/dp${dp}`,
    state: 'awaitingGradients',
    times: 2,
  },
  'while sums are measured': { actor: `optimizer/dense/dp${dp}`, state: 'measuring', times: 2 },
  // Elsewhere a shard never stands in this state: it sums all it owns, or its one peer was faster.
  ...(layout.dp === 4 && layout.zero === 0
    ? { 'while sums are exchanged': { actor: `optimizer/dense/dp${dp}`, state: 'gathering', times: 2 } }
    : {}),
  'after its vote': { actor: `optimizer/dense/dp${dp}`, state: 'voted', times: 2 },
  'between decision and update': { actor: 'trainer', state: 'committing', times: 2 },
  'in the middle of an update': { actor: `optimizer/dense/dp${dp}`, state: 'applying', times: 2 },
  'while it publishes': { actor: `optimizer/dense/dp${dp}`, state: 'collecting', times: 3 },
  'during an evaluation': { actor: 'trainer', state: 'evaluating' },
});

const layouts = [
  { dp: 2, ep: 1, zero: 0 },
  { dp: 2, ep: 1, zero: 1 },
  { dp: 2, ep: 2, zero: 0 },
  { dp: 2, ep: 2, zero: 1 },
  { dp: 4, ep: 2, zero: 0 },
  { dp: 4, ep: 2, zero: 1 },
] as const;

for (const layout of layouts) {
  const name = `dp ${layout.dp}, ep ${layout.ep}, zero ${layout.zero}`;
  test(`recovery: a worker that dies in any phase changes no number (${name})`, async (t) => {
    const clean = await run(layout);
    t.is(clean.result.error, null);
    t.deepEqual(recoveries(clean), []);
    const expected = numbersOf(clean);
    t.is(expected.length, 4);
    for (const dp of [0, layout.dp - 1]) {
      for (const [phase, when] of Object.entries(phases(dp, layout))) {
        const fault: Fault = {
          kind: 'crash',
          target: `worker/${dp}`,
          ...(typeof when === 'number' ? { atMs: when } : { when }),
        };
        const struck = await run(layout, { faults: [fault] });
        const where = `worker/${dp} ${phase}`;
        t.is(struck.struck.length, 1, `${where}: the fault struck`);
        t.is(struck.result.error, null, where);
        t.is(struck.result.exitCode, 0, where);
        t.deepEqual(numbersOf(struck), expected, where);
        const [recovered, ...more] = recoveries(struck);
        t.is(more.length, 0, where);
        t.is(recovered?.worker, `worker/${dp}`, where);
      }
    }
  });
}
