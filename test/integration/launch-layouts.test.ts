import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { RunEvent } from '@troupe/telemetry';
import { fileStorage, launch, loadTopology, startCluster, type ResolvedTopology } from 'troupe';

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
  'checkpoint.every=1',
  'checkpoint.keep=100',
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

const curve = (events: readonly RunEvent[]): string =>
  events
    .flatMap((event) => {
      if (event.event === 'step') return [`${event.step} ${event.loss} ${event.auxLoss} ${event.gradNorm}`];
      return event.event === 'eval' ? [`eval ${event.step} ${event.loss}`] : [];
    })
    .join('\n');

async function numbersOf(folder: string, events: readonly RunEvent[]): Promise<Numbers> {
  const file = (step: number, name: string) =>
    readFile(join(folder, 'run', `step-${String(step).padStart(6, '0')}`, name));
  return {
    losses: hash(curve(events)),
    firstGradients: hash(await file(1, 'optimizer.safetensors')),
    lastParameters: hash(await file(6, 'weights.safetensors')),
  };
}

/** Six steps with a checkpoint after each, in a folder that goes away. */
async function train(
  t: ExecutionContext,
  topology: ResolvedTopology,
  over: 'memory' | 'ZeroMQ',
): Promise<Numbers> {
  const folder = await mkdtemp(join(tmpdir(), 'troupe-layouts-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const storage = fileStorage(folder);
  const events: RunEvent[] = [];
  if (over === 'memory') {
    const cluster = await startCluster(topology, {
      stopAfter: 6,
      checkpoints: { storage, folder: 'run', keep: 100, tokenizer: null },
    });
    for await (const event of cluster.events()) events.push(event);
    t.is((await cluster.result).error, null);
  } else {
    const run = await launch(topology, {
      stopAfter: 6,
      checkpoints: { storage, folder: 'run' },
      report: (event) => events.push(event),
      logLevel: 'silent',
      peakFlops: null,
    });
    t.is((await run.result).error, null);
    t.true(topology.parallel.world === 1 || run.wireBytes() > 0);
  }
  return numbersOf(folder, events);
}

for (const choice of ['learned', 'skewed']) {
  test.serial(
    `launch: losses, first gradients and parameters are the same for every layout, ${choice} routing`,
    async (t) => {
      const routing = [`model.moe.router.choice=${choice}`];
      const expected = await train(t, layout(1, 1, routing), 'memory');
      for (const [dp, ep] of [
        [1, 1],
        [2, 1],
        [2, 2],
        [4, 2],
        [4, 4],
      ] as const) {
        for (const over of ['memory', 'ZeroMQ'] as const) {
          t.deepEqual(
            await train(t, layout(dp, ep, routing), over),
            expected,
            `dp ${dp}, ep ${ep}, over ${over}`,
          );
        }
      }
      t.deepEqual(
        await train(t, layout(2, 2, [...routing, 'parallel.zero=1']), 'ZeroMQ'),
        expected,
        'ZeRO 1',
      );
      t.deepEqual(
        await train(t, layout(4, 2, [...routing, 'parallel.zero=1']), 'memory'),
        expected,
        'ZeRO 1, replicated experts',
      );
    },
  );
}

test.serial('launch: the numbers do not depend on the number of threads', async (t) => {
  const threads = (count: number) => [
    'machines=[{host: localhost, devices: ["cpu:0/threads=' + String(count) + '"]}]',
  ];
  const expected = await train(t, layout(1, 1, threads(1)), 'memory');
  for (const count of [2, 3])
    t.deepEqual(await train(t, layout(1, 1, threads(count)), 'memory'), expected, `${count} threads`);
});

test.serial('launch: another seed gives other numbers', async (t) => {
  const one = await train(t, layout(1, 1), 'memory');
  const other = await train(t, layout(1, 1, ['train.seed=2']), 'memory');
  t.not(one.losses, other.losses);
  t.not(one.firstGradients, other.firstGradients);
});
