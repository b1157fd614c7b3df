import test from 'ava';
import { openNativeDevice, openReferenceDevice } from '@troupe/kernels';
import type { RunEvent } from '@troupe/telemetry';
import { Layout } from '@troupe/topology';
import { launch, loadTopology, openSimulator } from 'troupe';
import { finalParameters } from './final-parameters.ts';
import { jobOver, runJob } from './job-run.ts';
import { hashOf, tinyTopology, trainTiny, type TinyLayout } from './tiny-cluster.ts';

const reference = async () => openReferenceDevice({ dtype: 'f32' });

const layouts: readonly TinyLayout[] = [
  { dp: 1, ep: 1 },
  { dp: 1, ep: 1, microbatches: 2 },
  { dp: 2, ep: 2 },
  { dp: 4, ep: 2, microbatches: 2 },
  { dp: 4, ep: 4 },
];

for (const precision of ['f32', 'bf16'] as const)
  test(`row format: in bf16 the numbers are the same on every layout, products in ${precision}`, async (t) => {
    const hashes = async (tiny: TinyLayout) => {
      const run = await trainTiny(tinyTopology({ ...tiny, precision, sharedExperts: 1 }), reference);
      t.is(run.result.error, null);
      return run.hashes;
    };
    const expected = await hashes({ dp: 1, ep: 1, rows: 'bf16' });
    for (const layout of layouts)
      t.deepEqual(await hashes({ ...layout, rows: 'bf16' }), expected, JSON.stringify(layout));
    const plain = await hashes({ dp: 2, ep: 2 });
    for (const name of ['losses', 'gradNorms', 'parameters', 'evalLosses'] as const)
      t.not(plain[name], expected[name], name);
  });

/** Bytes of the arrays named `names` that leave a node in one step. */
async function travelled(tiny: TinyLayout, expertsApart: boolean, names: RegExp) {
  const whole = tinyTopology({ ...tiny, steps: 1 });
  const devices = [...(whole.machines[0]?.devices ?? []), ...(whole.machines[0]?.devices ?? [])];
  const topology = expertsApart
    ? {
        ...whole,
        parallel: { ...whole.parallel, expertWorkers: 1 },
        machines: whole.machines.map((machine) => ({ ...machine, devices })),
      }
    : whole;
  const job = jobOver(new Layout(topology), topology);
  let rows = 0;
  let others = 0;
  const { losses, workers } = await runJob(job, reference, {
    sent: ({ kind, tensors }) => {
      if (names.test(kind))
        for (const each of tensors)
          // Slots, counts and combine weights have 4 bytes an element in either format.
          if (each.length % topology.model.dModel === 0 && each.length > 300) rows += each.byteLength;
          else others += each.byteLength;
    },
  });
  const parameters = hashOf([...finalParameters(workers, topology, 1).values()]);
  return { rows, others, losses, parameters };
}

for (const [layout, expertsApart] of [
  [{ dp: 2, ep: 2 }, false],
  [{ dp: 1, ep: 1 }, true],
] as const)
  test(`row format: in bf16 rows travel as two bytes an element, ${JSON.stringify({ ...layout, expertsApart })}`, async (t) => {
    for (const kinds of [
      /^rows\.dispatch$/u,
      /^rows\.return$/u,
      /^gradients\.dispatch$/u,
      /^gradients\.return$/u,
    ]) {
      const wide = await travelled(layout, expertsApart, kinds);
      const narrow = await travelled({ ...layout, rows: 'bf16' }, expertsApart, kinds);
      t.true(narrow.rows > 0, kinds.source);
      t.is(2 * narrow.rows, wide.rows, kinds.source);
      t.is(narrow.others, wide.others, kinds.source);
    }
    const one = await travelled({ dp: 1, ep: 1, rows: 'bf16' }, false, /^rows/u);
    const here = await travelled({ ...layout, rows: 'bf16' }, expertsApart, /^rows/u);
    t.is(one.rows, 0, 'beside, nothing travels');
    t.deepEqual([here.losses, here.parameters], [one.losses, one.parameters]);
  });

test('row format: processes over ZeroMQ and their simulation have the losses of one process', async (t) => {
  const steps = 3;
  const topology = (dp: number, ep: number) =>
    loadTopology('tiny', {
      set: [
        'model.dModel=32',
        'model.layers=2',
        'model.seqLen=16',
        'model.ffn.dFf=48',
        'train.steps=3',
        'train.batch=8',
        'train.grains=4',
        'wire.dtype=bf16',
        `parallel.dp=${dp}`,
        `parallel.ep=${ep}`,
        `machines=[{host: localhost, devices: [${Array.from({ length: dp }, (_, index) => `"cpu:${index}"`).join(', ')}]}]`,
      ],
    });
  const curve = (events: readonly RunEvent[]): readonly string[] =>
    events.flatMap((event) => (event.event === 'step' ? [`${event.loss} ${event.gradNorm}`] : []));
  const launched = async (dp: number, ep: number): Promise<readonly string[]> => {
    const events: RunEvent[] = [];
    const run = await launch(topology(dp, ep), {
      checkpoints: null,
      report: (event) => events.push(event),
      logLevel: 'silent',
      peakFlops: null,
    });
    t.is((await run.result).error, null);
    return curve(events);
  };
  const expected = await launched(1, 1);
  t.is(expected.length, steps);
  t.deepEqual(await launched(2, 2), expected);
  const simulator = await openSimulator(topology(4, 2));
  const simulated = await simulator.run({ seed: 4, steps, faults: [] });
  t.is(simulated.violation, null);
  t.deepEqual(curve(simulated.events), expected);
});

test('row format: the numbers are the same on every layout of native devices', async (t) => {
  const native = async () => openNativeDevice({ threads: 2 });
  const hashes = async (tiny: TinyLayout) => {
    const run = await trainTiny(tinyTopology({ ...tiny, rows: 'bf16' }), native);
    t.is(run.result.error, null);
    return run.hashes;
  };
  const expected = await hashes({ dp: 1, ep: 1 });
  t.deepEqual(await hashes({ dp: 2, ep: 2 }), expected);
});
