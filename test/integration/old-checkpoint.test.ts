import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { openReferenceDevice } from '@troupe/kernels';
import { diffTrajectory, resolveTopology, trajectory } from '@troupe/topology';
import { openRun, startCluster } from 'troupe';

const fixture = (path: string): string => fileURLToPath(new URL(`../../fixtures/${path}`, import.meta.url));

/** The corpus lay elsewhere when these checkpoints were written. */
const moved = [`data.jsonl=${fixture('checkpoint-0.1/trees.jsonl')}`];

/** Manifests of 0.1 do not say what corpus they read. */
const checkpoints = [
  { name: 'checkpoint-0.1/bytes', namesCorpus: false },
  { name: 'checkpoint-0.1/bpe', namesCorpus: false },
  { name: 'checkpoint-0.2/sharded', namesCorpus: true },
  { name: 'checkpoint-0.2/tied', namesCorpus: true },
] as const;

/** What the code that wrote the checkpoint computed when it went on. */
const expectedCurve = (name: string): readonly unknown[] =>
  readFileSync(fixture(`${name}.curve.jsonl`), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown);

/** Keys of a model that came later, with what the code that knew none of them computed. */
const later = {
  model: { mla: null, encoder: null, positions: 'rotary', relative: { buckets: 32, maxDistance: 128 } },
  moe: { firstDense: 0, norm: false },
  router: {
    groups: 1,
    topGroups: 1,
    scale: 1,
    groupSequences: 256,
    generate: 'refuse',
    sampling: 'none',
    jitter: 0,
  },
  balance: { domain: 1 },
  /** It was a number. */
  capacity: { train: 0, eval: 0, min: 4, drop: 'random', weights: 'kept' },
};

for (const { name, namesCorpus } of checkpoints) {
  test(`old checkpoint, ${name}: goes on with the curve of the code that wrote it, bit for bit`, async (t) => {
    const run = await openRun(fixture(name), { set: moved });
    const cluster = await startCluster(run.topology, {
      resumeFrom: run.checkpoint,
      openDevice: async () => openReferenceDevice({ dtype: 'f32' }),
    });
    const found: unknown[] = [];
    const warnings: string[] = [];
    for await (const event of cluster.events()) {
      if (event.event === 'warning') warnings.push(event.message);
      if (event.event === 'eval') found.push(event);
      if (event.event !== 'step') continue;
      const { step, loss, auxLoss, gradNorm, learningRate, tokens } = event;
      found.push({ event: 'step', step, loss, auxLoss, gradNorm, learningRate, tokens });
    }
    t.is((await cluster.result).exitCode, 0);
    t.deepEqual(found, expectedCurve(name));
    t.is(warnings.length, namesCorpus ? 0 : 1, warnings.join('; '));
    t.regex(
      warnings[0] ?? '',
      namesCorpus ? /^$/u : /^checkpoint step-000004 names no corpus: .*data\.jsonl/u,
    );
    await run.checkpoint.close();
  });

  test(`old checkpoint, ${name}: no default that came later differs from what it holds`, async (t) => {
    const run = await openRun(fixture(name), { set: moved });
    const { topology } = run.checkpoint.manifest;
    t.deepEqual(diffTrajectory(resolveTopology(topology), run.topology), []);
    const { model } = topology as typeof run.topology.file;
    t.deepEqual(trajectory(run.topology).model, {
      ...later.model,
      ...model,
      moe: {
        ...later.moe,
        ...model.moe,
        router: { ...later.router, ...model.moe?.router },
        balance: { ...later.balance, ...model.moe?.balance },
        capacity: later.capacity,
      },
    });
    await run.checkpoint.close();
  });
}

/** Dotted keys of a plain value. */
const keysOf = (value: unknown, at = ''): readonly string[] =>
  typeof value !== 'object' || value === null || Array.isArray(value)
    ? [at]
    : Object.entries(value).flatMap(([key, each]) => keysOf(each, at === '' ? key : `${at}.${key}`));

test('old checkpoint: a key that it lacks means what the code that wrote it did', async (t) => {
  const run = await openRun(fixture('checkpoint-0.1/bytes'));
  const written = new Set(keysOf(run.checkpoint.manifest.topology));
  const { model, data, train } = run.topology.file;
  // A key that is new here needs its value of then in resumed-topology.ts.
  t.deepEqual(
    keysOf({ model, data, train }).filter((key) => !written.has(key)),
    [
      'model.encoder',
      'model.positions',
      'model.mla',
      'model.relative.buckets',
      'model.relative.maxDistance',
      'model.moe.firstDense',
      'model.moe.router.groups',
      'model.moe.router.topGroups',
      'model.moe.router.scale',
      'model.moe.router.groupSequences',
      'model.moe.router.generate',
      'model.moe.router.sampling',
      'model.moe.router.jitter',
      ...['train', 'eval', 'min', 'drop', 'weights'].map((key) => `model.moe.capacity.${key}`),
      'model.moe.norm',
      'model.moe.balance.domain',
      // How data reach a machine; no number hangs on it.
      'data.ship',
      'train.scheduleFrom',
      'train.recompute',
      'train.tensorSegments',
      'train.labelSmoothing',
      'train.maxSkipped',
    ],
  );
  t.like(model, later.model);
  t.like(model.moe, {
    ...later.moe,
    router: later.router,
    balance: later.balance,
    capacity: later.capacity,
  });
  t.like(train, { maxSkipped: 0, scheduleFrom: 0, recompute: 'none', tensorSegments: 1, labelSmoothing: 0 });
  await run.checkpoint.close();
});

test('old checkpoint: a corpus that is not where it was is named', async (t) => {
  const run = await openRun(fixture('checkpoint-0.1/bytes'));
  await t.throwsAsync(startCluster(run.topology, { resumeFrom: run.checkpoint }), {
    code: 'TROUPE_DATA_UNREADABLE',
    message: /\/tmp\/troupe-0\.1\/trees\.jsonl/,
  });
  await run.checkpoint.close();
});
