import test from 'ava';
import { openReferenceDevice } from '@troupe/kernels';
import { Layout, type LayoutSource, type ResolvedTopology } from '@troupe/topology';
import { jobOver, runJob } from './job-run.ts';
import { finalParameters } from './final-parameters.ts';
import { hashOf, tinyTopology, type TinyLayout } from './tiny-cluster.ts';

const openDevice = async () => openReferenceDevice({ dtype: 'f32' });

/** Four layers, every second one with experts. */
function topologyOf(tiny: TinyLayout, model: Partial<ResolvedTopology['model']> = {}): ResolvedTopology {
  const topology = tinyTopology({ ...tiny, steps: 2 });
  const { moe } = topology.model;
  return {
    ...topology,
    model: { ...topology.model, layers: 4, moe: moe && { ...moe, every: 2 }, ...model },
  };
}

type Pipeline = Partial<LayoutSource['parallel']>;

async function numbersOf(
  tiny: TinyLayout,
  parallel: Pipeline,
  model: Partial<ResolvedTopology['model']> = {},
) {
  const topology = topologyOf(tiny, model);
  const layout = new Layout({ ...topology, parallel: { ...topology.parallel, ...parallel } });
  const { losses, workers } = await runJob(jobOver(layout, topology), openDevice);
  const parameters = finalParameters(workers, topology, 2);
  return { losses, parameters: hashOf([...parameters.values()]) };
}

const rows: readonly (readonly [TinyLayout, Pipeline])[] = [
  [{ dp: 1, ep: 1, microbatches: 1 }, { pp: 2 }],
  [{ dp: 1, ep: 1, microbatches: 4 }, { pp: 2 }],
  [{ dp: 2, ep: 2, microbatches: 2 }, { pp: 2 }],
  [{ dp: 1, ep: 1, microbatches: 4 }, { pp: 4 }],
  [
    { dp: 1, ep: 1, microbatches: 4 },
    { pp: 3, pipeline: 'gpipe' },
  ],
  [
    { dp: 2, ep: 1, microbatches: 2, zero: 0 },
    { pp: 2, pipeline: 'gpipe', chunks: 2 },
  ],
  [
    { dp: 2, ep: 2, microbatches: 2 },
    { pp: 2, pipeline: 'interleaved', chunks: 2 },
  ],
  // Gradients of matrices in operations of their own.
  [
    { dp: 1, ep: 1, microbatches: 4 },
    { pp: 2, pipeline: 'zero-bubble' },
  ],
  [
    { dp: 2, ep: 2, microbatches: 4 },
    { pp: 3, pipeline: 'zero-bubble' },
  ],
  [
    { dp: 2, ep: 1, microbatches: 2, zero: 0 },
    { pp: 4, pipeline: 'zero-bubble' },
  ],
  [{ dp: 1, ep: 1, microbatches: 2 }, { pipeline: 'zero-bubble' }],
  // Buckets leave, and segments come, for passes of several microbatches and chunks; a tied table is held by both ends.
  [{ dp: 2, ep: 1, microbatches: 2, zero: 2 }, { pp: 2 }],
  [
    { dp: 2, ep: 1, microbatches: 2, zero: 3 },
    { pp: 2, pipeline: 'interleaved', chunks: 2 },
  ],
  // Chunks of one worker hand each other what the device has made.
  [
    { dp: 1, ep: 1, microbatches: 4 },
    { pipeline: 'interleaved', chunks: 2 },
  ],
  // Two passes under way, in another order on the two replicas.
  [
    { dp: 2, ep: 2, microbatches: 2 },
    { pp: 2, pipeline: 'gpipe' },
  ],
];

for (const tiedHead of [false, true])
  test(`pipeline: stages change no number, ${tiedHead ? 'tied' : 'own'} head`, async (t) => {
    const expected = await numbersOf({ dp: 1, ep: 1 }, {}, { tiedHead });
    for (const [tiny, pipeline] of rows) {
      const what = JSON.stringify({ ...tiny, ...pipeline });
      t.deepEqual(await numbersOf(tiny, pipeline, { tiedHead }), expected, what);
    }
  });

test('pipeline: a balance loss over the whole batch waits for all forward passes', async (t) => {
  const { moe } = topologyOf({ dp: 1, ep: 1 }).model;
  const model = { moe: moe && { ...moe, balance: { ...moe.balance, scope: 'global' as const } } };
  const expected = await numbersOf({ dp: 1, ep: 1 }, {}, model);
  const global: readonly (readonly [TinyLayout, Pipeline])[] = [
    [{ dp: 2, ep: 2, microbatches: 2 }, { pipeline: 'gpipe' }],
    [
      { dp: 2, ep: 2, microbatches: 2 },
      { pp: 2, pipeline: 'gpipe' },
    ],
    [{ dp: 1, ep: 1, microbatches: 1 }, { pp: 4 }],
  ];
  for (const [tiny, pipeline] of global)
    t.deepEqual(await numbersOf(tiny, pipeline, model), expected, JSON.stringify({ ...tiny, ...pipeline }));
});
