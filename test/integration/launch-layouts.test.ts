import { createHash } from 'node:crypto';
import { cp, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { RunEvent } from '@troupe/telemetry';
import { loadTopology, openSimulator, type ResolvedTopology } from 'troupe';
import { runsAll } from '../mixtures/part.ts';
import { curve, newFolder, stretch } from './stretch.ts';

/** A model small enough for a core to train in a blink, over real text. */
const small = [
  'model.dModel=32',
  'model.layers=2',
  'model.seqLen=16',
  'model.ffn.dFf=48',
  'train.steps=20',
  'train.batch=8',
  'train.grains=4',
  'eval.every=10',
  // A stop writes its own; one after every step would wait for the disk most of the time.
  'checkpoint.every=0',
];

function layout(dp: number, ep: number, more: readonly string[] = []): ResolvedTopology {
  const devices = Array.from({ length: dp }, (_, index) => `"cpu:${index}"`).join(', ');
  const set = [
    ...small,
    `parallel.dp=${dp}`,
    `parallel.ep=${ep}`,
    `machines=[{host: localhost, devices: [${devices}]}]`,
    ...more,
  ];
  return loadTopology('tiny', { set });
}

/** What must not depend on the layout: every loss and norm, Adam's first moment after step 1 (the first gradient), the last weights. */
interface Numbers {
  readonly losses: string;
  readonly firstGradients: string;
  readonly lastParameters: string;
}

const hash = (bytes: string | Uint8Array): string =>
  createHash('sha256').update(bytes).digest('hex').slice(0, 16);

const STEPS = 20;

const fileHash = async (folder: string, step: number, name: string): Promise<string> =>
  hash(await readFile(join(folder, 'run', `step-${String(step).padStart(6, '0')}`, name)));

/** The numbers of twenty steps without a break, and the first gradient from a run of one step. */
async function train(
  t: ExecutionContext,
  topology: ResolvedTopology,
  over: 'memory' | 'ZeroMQ',
): Promise<Numbers> {
  const folder = await newFolder(t);
  await stretch(t, topology, { folder, over, stopAfter: 1 });
  const events = await stretch(t, topology, { folder, over, stopAfter: STEPS });
  t.is(events.filter(({ event }) => event === 'step').length, STEPS);
  return {
    losses: hash(curve(events)),
    firstGradients: await fileHash(folder, 1, 'optimizer.safetensors'),
    lastParameters: await fileHash(folder, STEPS, 'weights.safetensors'),
  };
}

type Layouts = readonly (readonly [dp: number, ep: number])[];
const layouts: Layouts = [
  [1, 1],
  [2, 1],
  [2, 2],
  [4, 2],
  [4, 4],
];

test.serial(
  'launch: losses, first gradients and parameters are the same for every layout, learned routing',
  async (t) => {
    const routing = ['model.moe.router.choice=learned'];
    const expected = await train(t, layout(1, 1, routing), 'memory');
    for (const [dp, ep] of layouts)
      for (const over of ['memory', 'ZeroMQ'] as const) {
        // Processes take seconds to start: one layout, and those below, stand for all, which `npm run test:sim` runs.
        if (over === 'ZeroMQ' && !runsAll && dp * ep !== 4) continue;
        t.deepEqual(
          await train(t, layout(dp, ep, routing), over),
          expected,
          `dp ${dp}, ep ${ep}, over ${over}`,
        );
      }
    t.deepEqual(await train(t, layout(2, 2, [...routing, 'parallel.zero=1']), 'ZeroMQ'), expected, 'ZeRO 1');
    t.deepEqual(
      await train(t, layout(4, 2, [...routing, 'parallel.zero=1']), 'memory'),
      expected,
      'ZeRO 1, replicated experts',
    );
    for (const zero of runsAll ? [2, 3] : [3]) {
      const set = [...routing, `parallel.zero=${zero}`, 'train.microbatches=2', 'train.grains=8'];
      t.deepEqual(await train(t, layout(2, 1, set), 'ZeroMQ'), await train(t, layout(1, 1, set), 'memory'));
      t.deepEqual(await train(t, layout(4, 2, [...routing, `parallel.zero=${zero}`]), 'ZeroMQ'), expected);
    }
  },
);

// Processes do not know how experts were chosen: one layout stands for all, which `npm run test:sim` runs.
test.serial(
  'launch: losses, first gradients and parameters are the same for every layout, skewed routing',
  async (t) => {
    const routing = ['model.moe.router.choice=skewed'];
    const expected = await train(t, layout(1, 1, routing), 'memory');
    for (const [dp, ep] of runsAll ? layouts : [])
      t.deepEqual(await train(t, layout(dp, ep, routing), 'ZeroMQ'), expected, `dp ${dp}, ep ${ep}`);
    for (const zero of runsAll ? [1, 2, 3] : [3])
      t.deepEqual(await train(t, layout(4, 2, [...routing, `parallel.zero=${zero}`]), 'ZeroMQ'), expected);
  },
);

test.serial('launch: the numbers do not depend on the number of threads', async (t) => {
  const threads = (count: number) => [
    'machines=[{host: localhost, devices: ["cpu:0/threads=' + String(count) + '"]}]',
  ];
  const expected = await train(t, layout(1, 1, threads(1)), 'memory');
  for (const count of [2, 3])
    t.deepEqual(await train(t, layout(1, 1, threads(count)), 'memory'), expected, `${count} threads`);
});

test.serial('launch: experts in processes that hold no stage', async (t) => {
  const apart = layout(2, 1, [
    'machines=[{host: localhost, devices: ["cpu:0", "cpu:1", "cpu:2", "cpu:3"]}]',
    'parallel.ep=2',
    'placement={"expert/*/ep0/*": localhost/cpu:0, "expert/*/ep1/*": localhost/cpu:3, "stage/*/dp0/*": localhost/cpu:1, "stage/*/dp1/*": localhost/cpu:2}',
  ]);
  t.is(apart.parallel.world, 4);
  t.deepEqual(await train(t, apart, 'ZeroMQ'), await train(t, layout(1, 1), 'memory'));
});

test.serial('launch: another seed gives other numbers', async (t) => {
  const one = await train(t, layout(1, 1), 'memory');
  const other = await train(t, layout(1, 1, ['train.seed=2']), 'memory');
  t.not(one.losses, other.losses);
  t.not(one.firstGradients, other.firstGradients);
});

test.serial(
  'resume: a checkpoint of (4,4) goes on at (2,2) and at (1,1) with the curve of (4,4)',
  async (t) => {
    const whole = await newFolder(t);
    const expected = await stretch(t, layout(4, 4), { folder: whole, over: 'ZeroMQ', stopAfter: STEPS });
    const half = STEPS / 2;
    const first = await newFolder(t);
    const before = await stretch(t, layout(4, 4), { folder: first, over: 'ZeroMQ', stopAfter: half });
    for (const [dp, ep] of [
      [2, 2],
      [1, 1],
      [4, 4],
    ] as const) {
      for (const over of ['memory', 'ZeroMQ'] as const) {
        const folder = await newFolder(t);
        await cp(first, folder, { recursive: true });
        const after = await stretch(t, layout(dp, ep), { folder, over, stopAfter: STEPS, from: half });
        t.is(curve([...before, ...after]), curve(expected), `dp ${dp}, ep ${ep}, over ${over}`);
        t.is(
          await fileHash(folder, STEPS, 'weights.safetensors'),
          await fileHash(whole, STEPS, 'weights.safetensors'),
        );
      }
    }
  },
);

test.serial('resume: a checkpoint goes on with its curve from any ZeRO to any other', async (t) => {
  const zero = (level: number) => layout(4, 2, [`parallel.zero=${level}`]);
  const [half, whole] = [4, 8];
  const expected = await stretch(t, zero(1), {
    folder: await newFolder(t),
    over: 'memory',
    stopAfter: whole,
  });
  for (const [from, to] of [
    [0, 3],
    [1, 2],
    [2, 3],
    [3, 0],
    [3, 2],
    [2, 1],
  ] as const) {
    const folder = await newFolder(t);
    const before = await stretch(t, zero(from), { folder, over: 'memory', stopAfter: half });
    const after = await stretch(t, zero(to), { folder, over: 'memory', stopAfter: whole, from: half });
    t.is(curve([...before, ...after]), curve(expected), `from ZeRO ${from} to ${to}`);
  }
});

for (const [dp, ep] of runsAll ? layouts.slice(1) : layouts.slice(3, 4)) {
  test(`launch: dp ${dp}, ep ${ep} over ZeroMQ has the losses of its simulation, bit for bit`, async (t) => {
    const topology = layout(dp, ep);
    const steps = 4;
    const stepsOf = (events: readonly RunEvent[]): readonly string[] =>
      curve(events.filter(({ event }) => event === 'step')).split('\n');
    const folder = await newFolder(t);
    const launched = await stretch(t, topology, { folder, over: 'ZeroMQ', stopAfter: steps });
    const simulator = await openSimulator(topology);
    const simulated = await simulator.run({ seed: dp, steps, faults: [] });
    t.is(simulated.violation, null);
    t.is(stepsOf(launched).length, steps);
    t.deepEqual(stepsOf(simulated.events), stepsOf(launched));
  });
}
