import test from 'ava';
import type { Device } from '@troupe/kernel-set';
import { openReferenceDevice } from '@troupe/kernels';
import type { StepEvent } from '@troupe/telemetry';
import { openSimulator, type Simulation } from 'troupe';
import { poisoned } from './poisoned-device.ts';
import { tinyTokens, tinyTopology, trainTiny, type TinyLayout } from './tiny-cluster.ts';

const layouts: readonly TinyLayout[] = [
  { dp: 1, ep: 1 },
  { dp: 1, ep: 1, microbatches: 2 },
  { dp: 2, ep: 2 },
  { dp: 2, ep: 1, zero: 0 },
];

const reference = () => openReferenceDevice({ dtype: 'f32' });
for (const layout of layouts) {
  test(`TRN-2: a NaN in a gradient kernel of any kind is replayed and changes no number (${JSON.stringify(layout)})`, async (t) => {
    const topology = tinyTopology({ ...layout, steps: 1 });
    const clean = poisoned(() => false);
    const expected = await trainTiny(topology, async (dp) => (dp === 0 ? clean.device : reference()));
    t.is(expected.steps[0]?.attempts, 1);
    t.true(clean.sources.length > 8, clean.sources.join(' '));
    for (const op of new Set(clean.sources)) {
      const at = layout.dp === 1 ? clean.sources.lastIndexOf(op) : clean.sources.indexOf(op);
      const { device } = poisoned((index) => index === at);
      const run = await trainTiny(topology, async (dp) => (dp === 0 ? device : reference()));
      t.deepEqual(run.hashes, expected.hashes, `${op}, call ${at}`);
      t.like(run.steps[0], { attempts: 2, skipped: false }, `${op}, call ${at}`);
    }
  });
}

const stepsOf = ({ events }: Simulation): readonly StepEvent[] =>
  events.filter((event): event is StepEvent => event.event === 'step');

for (const layout of layouts) {
  test(`simulate: a nan strikes in whatever state, is replayed once and no step is skipped (${JSON.stringify(layout)})`, async (t) => {
    const simulator = await openSimulator(tinyTopology({ ...layout, steps: 2 }), {
      tokens: tinyTokens,
      openDevice: async () => reference(),
    });
    const states = [
      ['pass/*/dp0/*', 'heading'],
      ['pass/*/dp0/*', 'unattending'],
      ['pass/*/dp0/*', 'unembedding'],
      ['expert/L0/ep0/*', 'serving.backwarding'],
      ['expert/L1/ep0/*', 'serving.backwarding'],
      ['gate/L0/*/dp0', 'weighing'],
      ['optimizer/dense/dp0', 'collecting'],
    ] as const;
    for (const [actor, state] of states) {
      const run = await simulator.run({
        seed: 1,
        steps: 2,
        faults: [{ kind: 'nan', target: 'worker/0', when: { actor, state } }],
      });
      t.is(run.violation, null, run.violation?.text);
      t.is(run.struck.length, 1, `${actor} ${state}`);
      t.deepEqual(
        stepsOf(run)
          .map(({ attempts }) => attempts)
          .toSorted((a, b) => a - b),
        [1, 2],
        `${actor} ${state}`,
      );
      t.true(stepsOf(run).every(({ skipped }) => !skipped));
    }
  });
}

test('TRN-2: a step that is not finite twice is skipped, says so, and changes no parameter', async (t) => {
  const trained = (stopAfter: number, device: Device) =>
    trainTiny(tinyTopology({ dp: 1, ep: 1, steps: 2 }), async () => device, { stopAfter });
  const clean = poisoned(() => false);
  const once = await trained(1, clean.device);
  // Both attempts at the second step.
  const run = await trained(2, poisoned((index) => index >= clean.sources.length).device);
  t.deepEqual(
    run.steps.map(({ skipped }) => skipped),
    [false, true],
  );
  t.is(run.hashes.parameters, once.hashes.parameters);
  t.not(run.hashes.parameters, (await trained(2, reference())).hashes.parameters);
  t.deepEqual(run.faults, [
    'step 2 had a non-finite gradient; replaying it',
    'step 2 had a non-finite gradient again; it is skipped: no parameter changes',
  ]);
});
