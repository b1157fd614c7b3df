import test, { type ExecutionContext } from 'ava';
import type { Device } from '@troupe/kernel-set';
import { loadDevice, openReferenceDevice } from '@troupe/kernels';
import { tinyTopology, trainTiny, type TinyLayout } from './tiny-cluster.ts';

const reference = async (): Promise<Device> => openReferenceDevice({ dtype: 'f32' });
const native = async (): Promise<Device> => loadDevice({ body: 'native', threads: 1 });

/** More leaves than 128 are bounded the lower, so that their sums cannot wrap (LEAF-1); where they are added does not show. */
async function expectOneCurve(
  t: ExecutionContext,
  changes: Partial<TinyLayout>,
  openDevice: () => Promise<Device>,
  layouts: readonly TinyLayout[],
): Promise<void> {
  const run = async (layout: TinyLayout) =>
    trainTiny(tinyTopology({ ...layout, ...changes, steps: 2 }), openDevice);
  const expected = await run({ dp: 1, ep: 1 });
  t.is(expected.result.error, null);
  t.true(expected.steps.every(({ loss, gradNorm }) => Number.isFinite(loss) && gradNorm > 0));
  for (const layout of layouts) {
    const found = await run(layout);
    t.is(found.result.error, null, JSON.stringify(layout));
    t.deepEqual(found.hashes, expected.hashes, JSON.stringify(layout));
  }
}

test('many grains: 256 have one loss curve on all layouts, reference body', async (t) => {
  await expectOneCurve(t, { grains: 256 }, reference, [
    { dp: 2, ep: 2, microbatches: 2 },
    { dp: 4, ep: 2, zero: 0 },
    { dp: 1, ep: 1, pp: 2, microbatches: 4 },
  ]);
});

test('many grains: 128 with a tied head are 256 leaves, with one loss curve on all layouts, reference body', async (t) => {
  await expectOneCurve(t, { grains: 128, tiedHead: true }, reference, [
    { dp: 2, ep: 2, microbatches: 2 },
    { dp: 2, ep: 1, pp: 2, microbatches: 2 },
  ]);
});

test('many grains: 1024 have one loss curve on all layouts, native body', async (t) => {
  try {
    await (await native()).close();
  } catch (error) {
    t.log(`not run: ${String(error)}`);
    t.regex(String(error), /native/);
    return;
  }
  await expectOneCurve(t, { grains: 1024 }, native, [
    { dp: 4, ep: 4, microbatches: 4 },
    { dp: 2, ep: 1, microbatches: 2, zero: 0 },
    { dp: 1, ep: 1, pp: 2, microbatches: 8 },
  ]);
});
