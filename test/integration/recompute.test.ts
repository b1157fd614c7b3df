import test from 'ava';
import { withoutQueue, type Device } from '@troupe/kernel-set';
import { openReferenceDevice } from '@troupe/kernels';
import { Layout, type LayoutSource } from '@troupe/topology';
import { finalParameters } from './final-parameters.ts';
import { jobOver, runJob } from './job-run.ts';
import { hashOf, tinyTopology, type TinyLayout } from './tiny-cluster.ts';

const LAYERS = 4;

/** Devices that count how often attention is computed forward. */
function counted() {
  let numForwards = 0;
  const openDevice = async (): Promise<Device> => {
    const device = openReferenceDevice({ dtype: 'f32' });
    return {
      ...withoutQueue(device),
      submit: (calls, done) => {
        numForwards += calls.filter(({ op }) => op === 'attention.forward').length;
        device.submit(calls, done);
      },
    };
  };
  return { openDevice, numForwards: () => numForwards };
}

async function numbersOf(
  tiny: TinyLayout,
  parallel: Partial<LayoutSource['parallel']>,
  recompute: 'none' | 'layer',
) {
  const base = tinyTopology({ sharedExperts: 1, ...tiny, steps: 2 });
  const { moe } = base.model;
  const topology = {
    ...base,
    model: { ...base.model, layers: LAYERS, moe: moe && { ...moe, every: 2 } },
    train: { ...base.train, recompute },
  };
  const layout = new Layout({ ...topology, parallel: { ...topology.parallel, ...parallel } });
  const devices = counted();
  const { losses, workers } = await runJob(jobOver(layout, topology), devices.openDevice);
  const parameters = hashOf([...finalParameters(workers, topology, 2).values()]);
  return { numbers: { losses, parameters }, numForwards: devices.numForwards() };
}

test('recompute: layers that are computed again change no number, in any division', async (t) => {
  const expected = await numbersOf({ dp: 1, ep: 1 }, {}, 'none');
  const rows: readonly (readonly [TinyLayout, Partial<LayoutSource['parallel']>])[] = [
    [{ dp: 1, ep: 1 }, {}],
    [{ dp: 2, ep: 2, microbatches: 2 }, {}],
    [{ dp: 1, ep: 1, microbatches: 4 }, { pp: 2 }],
    [
      { dp: 2, ep: 2, microbatches: 4 },
      { pp: 2, pipeline: 'zero-bubble' },
    ],
    [
      { dp: 2, ep: 1, microbatches: 2 },
      { pp: 2, pipeline: 'gpipe', chunks: 2 },
    ],
  ];
  for (const [tiny, parallel] of rows) {
    const what = JSON.stringify({ ...tiny, ...parallel });
    const kept = await numbersOf(tiny, parallel, 'none');
    const again = await numbersOf(tiny, parallel, 'layer');
    t.deepEqual(again.numbers, expected.numbers, what);
    const { dp, microbatches = 1 } = tiny;
    t.is(
      again.numForwards - kept.numForwards,
      2 * LAYERS * dp * microbatches,
      `${what}: every layer, once more a pass`,
    );
  }
});

test('recompute: in bf16, with rows rounded and the balance over the whole batch too', async (t) => {
  const tiny = { dp: 2, ep: 2, precision: 'bf16', scope: 'global' } as const;
  const expected = await numbersOf({ ...tiny, dp: 1, ep: 1 }, {}, 'none');
  t.deepEqual((await numbersOf(tiny, {}, 'layer')).numbers, expected.numbers);
});

test('recompute: tensor peers compute their layers again together', async (t) => {
  for (const parallel of [{ tp: 2 }, { tp: 2, pp: 2, pipeline: 'zero-bubble' }] as const) {
    const tiny = { dp: 1, ep: 1, microbatches: 2 };
    const kept = await numbersOf(tiny, { tp: 2 }, 'none');
    t.deepEqual((await numbersOf(tiny, parallel, 'layer')).numbers, kept.numbers, JSON.stringify(parallel));
  }
});
