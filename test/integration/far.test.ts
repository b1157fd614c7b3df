import test from 'ava';
import { openReferenceDevice } from '@troupe/kernels';
import { openFarDevice, type FarDevice } from '@troupe/kernels/far';
import { tinyTopology, trainTiny, type TinyLayout } from './tiny-cluster.ts';

const layouts: readonly TinyLayout[] = [
  { dp: 1, ep: 1 },
  { dp: 1, ep: 1, microbatches: 2 },
  { dp: 2, ep: 2 },
  { dp: 4, ep: 2, zero: 0 },
  { dp: 4, ep: 2, microbatches: 2, fanout: 2 },
  { dp: 2, ep: 1, scope: 'global', sharedExperts: 1 },
  { dp: 2, ep: 2, choice: 'skewed' },
  { dp: 2, ep: 2, precision: 'bf16' },
  { dp: 4, ep: 4, buddies: true, zero: 1 },
];

for (const layout of layouts)
  test(`far: the numbers of ${JSON.stringify(layout)} are those of the reference body, bit for bit`, async (t) => {
    const near = await trainTiny(tinyTopology(layout), async () => openReferenceDevice({ dtype: 'f32' }));
    const devices: FarDevice[] = [];
    const run = await trainTiny(tinyTopology(layout), async () => {
      const device = openFarDevice({ dtype: 'f32' });
      devices.push(device);
      return device;
    });
    t.is(run.result.error, null);
    t.deepEqual(run.hashes, near.hashes);
  });
