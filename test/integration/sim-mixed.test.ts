import test from 'ava';
import { openReferenceDevice } from '@troupe/kernels';
import { openSimulator, type Simulation, type SimulatorOptions } from 'troupe';
import { tinyTokens, tinyTopology, type TinyLayout } from './tiny-cluster.ts';

const run = async (layout: TinyLayout, options: SimulatorOptions = {}): Promise<Simulation> => {
  const simulator = await openSimulator(tinyTopology({ steps: 3, ...layout }), {
    tokens: tinyTokens,
    openDevice: async () => openReferenceDevice({ dtype: 'f32' }),
    ...options,
  });
  return simulator.run({ seed: 1, steps: 3, faults: [] });
};
const lossesOf = ({ events }: Simulation): readonly number[] =>
  events.flatMap((event) => (event.event === 'step' ? [event.loss] : []));

test('mixed: with all replicas real it is the plain run', async (t) => {
  const plain = await run({ dp: 2, ep: 1 });
  t.deepEqual(lossesOf(await run({ dp: 2, ep: 1 }, { real: [0, 1] })), lossesOf(plain));
});

for (const zero of [0, 1] as const) {
  test(`mixed: real replicas train on their sequences alone, among the messages of all (ZeRO ${zero})`, async (t) => {
    const plain = await run({ dp: 4, ep: 2, zero });
    const mixed = await run({ dp: 4, ep: 2, zero }, { real: [0, 1] });
    t.is(mixed.violation, null);
    t.is(mixed.result.error, null);
    t.is(mixed.traffic.control.messages, plain.traffic.control.messages);
    t.is(mixed.traffic.data.messages, plain.traffic.data.messages);
    const [first = 0, , last = 0] = lossesOf(mixed);
    t.true(
      first > 0 && first < (lossesOf(plain)[0] ?? 0),
      'the other half of the batch adds nothing to the sum',
    );
    t.true(last < first, 'it learns');
    t.is((await run({ dp: 4, ep: 2, zero }, { real: [0, 1] })).traceHash, mixed.traceHash);
  });
}

test('mixed: a group of experts computes wholly or not at all, and replicas exist', async (t) => {
  await t.throwsAsync(run({ dp: 4, ep: 2 }, { real: [0] }), {
    message: /replicas 0, 1 share their experts \(ep 2\), so all of them compute or none/,
  });
  await t.throwsAsync(run({ dp: 2, ep: 1 }, { real: [2] }), {
    message: /real names replica 2, expected some of 0 to 1/,
  });
});
