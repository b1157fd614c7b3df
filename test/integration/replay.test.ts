import test from 'ava';
import { withoutQueue, type Device, type KernelCall } from '@troupe/kernel-set';
import { openReferenceDevice } from '@troupe/kernels';
import { tinyTopology, trainTiny } from './tiny-cluster.ts';

/** A device whose head makes gradients far out of range in the given passes of it, counted from 1. */
function poisoned(passes: ReadonlySet<number>): {
  readonly device: Device;
  readonly numPoisoned: () => number;
} {
  const body = openReferenceDevice({ dtype: 'f32' });
  let numPasses = 0;
  let numPoisoned = 0;
  const poison = (call: KernelCall): KernelCall => {
    if (call.op !== 'head.loss' || call.dx_TD === undefined || !passes.has(++numPasses)) return call;
    numPoisoned++;
    return { ...call, gradScale: 1e30 };
  };
  const device: Device = {
    ...withoutQueue(body),
    submit: (calls, done) => body.submit(calls.map(poison), done),
  };
  return { device, numPoisoned: () => numPoisoned };
}

const healthy = async (): Promise<Device> => openReferenceDevice({ dtype: 'f32' });

for (const layout of [
  { dp: 1, ep: 1 },
  { dp: 2, ep: 1, zero: 0 as const },
  { dp: 2, ep: 2, zero: 1 as const },
  { dp: 4, ep: 2, zero: 0 as const },
]) {
  test(`replay: a gradient out of range once leaves the run as it is without, bit for bit (${JSON.stringify(layout)})`, async (t) => {
    const topology = tinyTopology(layout);
    const expected = await trainTiny(topology, healthy);
    const { device, numPoisoned } = poisoned(new Set([2]));
    const run = await trainTiny(topology, async (dp) => (dp === layout.dp - 1 ? device : healthy()));
    t.is(run.result.error, null);
    t.is(numPoisoned(), 1);
    t.deepEqual(
      run.steps.map(({ attempts, skipped }) => [attempts, skipped]),
      [
        [1, false],
        [2, false],
        [1, false],
      ],
    );
    t.deepEqual(run.hashes, expected.hashes);
  });
}

test('replay: a gradient out of range twice is skipped: nothing is applied, and the run goes on', async (t) => {
  const layout = { dp: 2, ep: 2, zero: 0 as const };
  const two = tinyTopology({ ...layout, steps: 2 });
  const { device, numPoisoned } = poisoned(new Set([1, 2]));
  const run = await trainTiny(two, async (dp) => (dp === 1 ? device : healthy()));
  t.is(run.result.error, null);
  t.is(numPoisoned(), 2);
  t.deepEqual(
    run.steps.map(({ attempts, skipped }) => [attempts, skipped]),
    [
      [2, true],
      [1, false],
    ],
  );
  t.true(Number.isNaN(run.steps[0]?.gradNorm));
  t.true(Number.isFinite(run.steps[1]?.loss));
  const { device: always } = poisoned(new Set([1, 2, 3, 4]));
  const still = await trainTiny(two, async (dp) => (dp === 1 ? always : healthy()));
  const start = await trainTiny(tinyTopology({ ...layout, steps: 1 }), async (dp) =>
    dp === 1 ? poisoned(new Set([1, 2])).device : healthy(),
  );
  t.deepEqual(
    still.hashes.parameters,
    start.hashes.parameters,
    'skipped steps leave every parameter as it was drawn',
  );
  t.not(run.hashes.parameters, start.hashes.parameters);
});
