import test from 'ava';
import { openReferenceDevice } from '@troupe/kernels';
import {
  balancedExperts,
  expertGroupId,
  GroupExchange,
  Layout,
  type LayoutSource,
  type ResolvedTopology,
  type WrittenExperts,
} from '@troupe/topology';
import { jobOver, runJob } from './job-run.ts';
import { finalParameters } from './final-parameters.ts';
import { hashOf, tinyTopology, trainTiny, type TinyLayout } from './tiny-cluster.ts';

const openDevice = async () => openReferenceDevice({ dtype: 'f32' });

/** The tiny model with experts in its second layer alone, so that eight workers find too few units. */
function topologyOf(tiny: TinyLayout): ResolvedTopology {
  const topology = tinyTopology({ ...tiny, steps: 2 });
  const { model } = topology;
  return { ...topology, model: { ...model, moe: model.moe && { ...model.moe, every: 2 } } };
}

/** Losses and parameters after two steps. */
async function numbersOf(topology: ResolvedTopology, layout: Layout) {
  const { losses, workers } = await runJob(jobOver(layout, topology), openDevice);
  const parameters = finalParameters(workers, topology, 2);
  return { losses, parameters: hashOf([...parameters.values()]) };
}

async function chosen(tiny: TinyLayout, change: (source: LayoutSource) => LayoutSource = (source) => source) {
  const topology = topologyOf(tiny);
  return numbersOf(topology, new Layout(change(topology)));
}

const alone = () => chosen({ dp: 1, ep: 1 });

test('layout choices: a run that is mounted by hand has the first loss of startCluster', async (t) => {
  const { losses } = await alone();
  const { steps } = await trainTiny(topologyOf({ dp: 1, ep: 1 }), openDevice);
  t.is(losses.length, 3);
  t.is(losses[0], steps[0]?.loss);
});

/** A topology whose matrices Muon updates. */
function withMuon(tiny: TinyLayout) {
  const topology = topologyOf(tiny);
  const own = { momentum: 0.95, nesterov: true, stepScale: 'adamw' } as const;
  const optimizer = { ...topology.train.optimizer, kind: 'muon', ...own } as const;
  return { ...topology, train: { ...topology.train, optimizer } };
}

test('layout choices: slices of whole units, uneven or empty, change no number', async (t) => {
  const lossesOf = async (tiny: TinyLayout) =>
    (await trainTiny(withMuon(tiny), openDevice)).steps.map(({ loss, gradNorm }) => [loss, gradNorm]);
  const expected = await lossesOf({ dp: 1, ep: 1 });
  for (const tiny of [
    { dp: 8, ep: 1, fanout: 2 },
    { dp: 8, ep: 2, fanout: 8, zero: 0 },
    { dp: 8, ep: 1, fanout: 8, buddies: true },
  ] as const) {
    const layout = new Layout(withMuon(tiny));
    const slices = [...layout.workers()].flatMap((worker) =>
      layout.groupsOf(worker).map((group) => {
        const { from, to } = new GroupExchange(group, worker).slice;
        t.true(group.flat.starts.includes(from) || from === group.flat.length);
        return to - from;
      }),
    );
    t.true(slices.includes(0), 'four experts have no eight owners');
    t.deepEqual(await lossesOf(tiny), expected, JSON.stringify(tiny));
  }
});

test('layout choices: expert-parallel groups of workers that are far apart change no number', async (t) => {
  const apart = (source: LayoutSource): LayoutSource => ({
    ...source,
    parallel: { ...source.parallel, rankOrder: 'edp-inner' },
  });
  t.deepEqual(await chosen({ dp: 4, ep: 2 }, apart), await alone());
});

test('layout choices: experts go to other groups than their neighbours, as many as a map says, and change no number', async (t) => {
  const expected = await alone();
  const written =
    (experts: WrittenExperts) =>
    (source: LayoutSource): LayoutSource => ({ ...source, parallel: { ...source.parallel, experts } });
  for (const tiny of [
    { dp: 2, ep: 2 },
    { dp: 4, ep: 2, zero: 0, microbatches: 2 },
  ] as const)
    for (const experts of [[[3, 0, 1], [2]], [[0], [1, 2, 3]], [[[3, 0, 1], [2]]]])
      t.deepEqual(await chosen(tiny, written(experts)), expected, JSON.stringify({ tiny, experts }));
  const balanced = balancedExperts([9, 1, 1, 8], 2);
  t.not(
    balanced.groupOf(0),
    balanced.groupOf(3),
    'the hot ones are apart, and neither is beside its neighbour',
  );
  t.not(balanced.groupOf(0), balanced.groupOf(1));
  const lists = [0, 1].map((group) => balanced.expertsOf(expertGroupId(group)));
  t.deepEqual(await chosen({ dp: 2, ep: 2 }, written(lists)), expected);
});

test('layout choices: experts on workers without a stage compute the same, bit for bit', async (t) => {
  const expected = await alone();
  const apart =
    (parallel: Partial<LayoutSource['parallel']>) =>
    (source: LayoutSource): LayoutSource => {
      const workers = source.parallel.dp + (parallel.expertWorkers ?? 0);
      const machines = [{ host: 'localhost', devices: Array.from({ length: workers }) }];
      return { ...source, machines, parallel: { ...source.parallel, ...parallel } };
    };
  for (const [tiny, parallel] of [
    [{ dp: 1, ep: 1 }, { expertWorkers: 1 }],
    [
      { dp: 1, ep: 1, microbatches: 2 },
      { expertWorkers: 4, ep: 4 },
    ],
    [{ dp: 2, ep: 1 }, { expertWorkers: 1 }],
    [
      { dp: 4, ep: 1, zero: 0 },
      { expertWorkers: 6, ep: 2 },
    ],
    [
      { dp: 4, ep: 1, buddies: true },
      { expertWorkers: 4, ep: 2, rankOrder: 'edp-inner' },
    ],
    [
      { dp: 2, ep: 1 },
      { expertWorkers: 2, ep: 2, experts: [[3, 0, 1], [2]] },
    ],
  ] as const)
    t.deepEqual(await chosen(tiny, apart(parallel)), expected, JSON.stringify({ tiny, parallel }));
});
