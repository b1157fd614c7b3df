import test from 'ava';
import type { Device } from '@troupe/kernel-set';
import { openReferenceDevice } from '@troupe/kernels';
import { resolveTopology, type ResolvedTopology } from '@troupe/topology';
import { launch, loadTopology, startCluster } from 'troupe';
import { numbersOf, simulateTiny, withCheckpoints } from './struck-tiny.ts';
import { tinyTopology, trainTiny, type TinyLayout } from './tiny-cluster.ts';

const reference = async (): Promise<Device> => openReferenceDevice({ dtype: 'f32' });
const nameOf = (layout: TinyLayout): string => JSON.stringify(layout).replaceAll('"', '');

/** Machines that all run in this process. */
function localTopology(layout: TinyLayout): ResolvedTopology {
  const topology = tinyTopology({ ...layout, offload: true });
  return { ...topology, machines: topology.machines.map((machine) => ({ ...machine, host: 'localhost' })) };
}

const layouts: readonly TinyLayout[] = [
  { dp: 1, ep: 1 },
  { dp: 1, ep: 1, microbatches: 2 },
  { dp: 2, ep: 2, zero: 0 },
  { dp: 4, ep: 2, zero: 0, microbatches: 2 },
  { dp: 2, ep: 1, zero: 1 },
  { dp: 4, ep: 2, zero: 1, microbatches: 2 },
  { dp: 4, ep: 1, zero: 1, fanout: 2 },
  { dp: 2, ep: 2, zero: 2, microbatches: 2 },
  { dp: 4, ep: 4, zero: 2, machines: 2 },
  { dp: 8, ep: 2, zero: 2, fanout: 2, machines: 4 },
  { dp: 2, ep: 1, zero: 3 },
  { dp: 4, ep: 2, zero: 3, microbatches: 2, machines: 2 },
  { dp: 2, ep: 1, pp: 2, zero: 1, microbatches: 2 },
];

for (const precision of ['f32', 'bf16'] as const)
  test(`offload: ${layouts.length} layouts with states on hosts have the numbers of one process, bit for bit, ${precision}`, async (t) => {
    const expected = await trainTiny(tinyTopology({ dp: 1, ep: 1, precision }), reference);
    for (const layout of layouts) {
      const run = await trainTiny(localTopology({ ...layout, precision }), reference);
      t.is(run.result.error, null, nameOf(layout));
      t.deepEqual(run.hashes, expected.hashes, nameOf(layout));
    }
  });

test('offload: shards that rules put on hosts have the numbers of one process', async (t) => {
  const expected = await trainTiny(tinyTopology({ dp: 1, ep: 1 }), reference);
  for (const layout of [
    { dp: 2, ep: 2, zero: 1 },
    { dp: 4, ep: 2, zero: 3, microbatches: 2, machines: 2 },
  ] as const) {
    const { file, machines: named } = tinyTopology(layout);
    const machines = named.map(({ devices }) => ({
      host: 'localhost',
      devices: devices.map(({ id }) => id),
    }));
    const topology = resolveTopology({ ...file, machines, placement: { 'optimizer/*': 'host:0' } });
    const run = await trainTiny(topology, reference);
    t.is(run.result.error, null, nameOf(layout));
    t.deepEqual(run.hashes, expected.hashes, nameOf(layout));
  }
});

test('offload: a lost host, or a device whose shards are on one, changes no number', async (t) => {
  for (const layout of [
    { dp: 2, ep: 2, zero: 1 },
    { dp: 2, ep: 1, zero: 2, microbatches: 2, buddies: true },
    { dp: 4, ep: 2, zero: 2, machines: 2, buddies: true },
    { dp: 2, ep: 1, zero: 3, buddies: true },
  ] as const) {
    const topology = withCheckpoints({ ...layout, offload: true });
    const whole = await simulateTiny(topology);
    t.is(whole.result.error, null, nameOf(layout));
    for (const [target, actor, state] of [
      ['host/0', 'optimizer/expert/dp1', 'collecting'],
      ['host/0', 'optimizer/dense/dp0', 'voted'],
      ['worker/1', 'optimizer/dense/dp0', 'applying'],
    ] as const) {
      const where = `${nameOf(layout)} ${target} ${actor} ${state}`;
      const struck = await simulateTiny(topology, {
        faults: [{ kind: 'crash', target, when: { actor, state, times: 3 } }],
      });
      t.is(struck.violation, null, where);
      t.is(struck.result.error, null, where);
      t.is(struck.struck.length, 1, where);
      t.deepEqual(numbersOf(struck), numbersOf(whole), where);
    }
  }
});

test.serial('offload: hosts are processes, which are reached over ZeroMQ', async (t) => {
  const set = [
    'parallel.dp=2',
    'parallel.ep=2',
    'placement={"optimizer/*": "localhost/host:0"}',
    'checkpoint.every=0',
  ];
  const topology = loadTopology('tiny', {
    set: [...set, 'machines=[{host: localhost, devices: ["cpu:0", "cpu:1"]}]'],
  });
  const losses: number[] = [];
  const run = await launch(topology, {
    stopAfter: 3,
    checkpoints: null,
    report: (event) => {
      if (event.event === 'step') losses.push(event.loss);
    },
    logLevel: 'silent',
    peakFlops: null,
  });
  t.is(run.workerPids.length, 3, 'two workers and a host');
  t.is((await run.result).error, null);
  const cluster = await startCluster(loadTopology('tiny'), { stopAfter: 3 });
  const expected: number[] = [];
  for await (const { loss } of cluster.steps()) expected.push(loss);
  t.deepEqual(losses, expected);
});
