import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { inlineHasher, type CheckpointReader } from '@troupe/checkpoint';
import type { BatchSource } from '@troupe/data';
import type { HostFloats } from '@troupe/core';
import type { Device, KernelCall } from '@troupe/kernel-set';
import { loadDevice, openReferenceDevice } from '@troupe/kernels';
import { resolveTopology, type ResolvedTopology } from '@troupe/topology';
import {
  exportHuggingFace,
  fileStorage,
  loadTopology,
  memoryStorage,
  mergeModels,
  openCheckpoint,
  openRun,
  pruneModel,
  readHuggingFace,
  startCluster,
  TrainedModel,
  type MeasuredLoss,
  type OpenedRun,
} from 'troupe';
import { tinyTokens, tinyTopology, type TinyLayout } from './tiny-cluster.ts';

type Model = Pick<OpenedRun, 'folder' | 'checkpoint' | 'topology'>;
type Origin = Parameters<typeof startCluster>[1] & object;

const hasher = inlineHasher();

/** A tiny topology with some keys set. */
const tiny = (layout: TinyLayout, set: readonly string[] = []): ResolvedTopology =>
  resolveTopology(tinyTopology(layout).file, { set });

/** Trains to a step and gives the last checkpoint. */
async function train(
  name: string,
  topology: ResolvedTopology,
  stopAfter: number,
  from: Pick<Origin, 'weightsFrom' | 'resumeFrom'> = {},
): Promise<Model & { readonly losses: readonly number[] }> {
  const storage = memoryStorage();
  const cluster = await startCluster(topology, {
    tokens: tinyTokens,
    stopAfter,
    openDevice: async () => openReferenceDevice({ dtype: 'f32' }),
    checkpoints: { storage, folder: name, keep: 1, tokenizer: null, hasher },
    ...from,
  });
  const losses: number[] = [];
  for await (const { loss } of cluster.steps()) losses.push(loss);
  const { error, step } = await cluster.result;
  if (error !== null) throw error;
  const folder = `${name}/step-${String(step).padStart(6, '0')}`;
  return { folder: name, checkpoint: await openCheckpoint(storage, folder, { hasher }), topology, losses };
}

function place(t: ExecutionContext): (name: string) => string {
  const folder = mkdtempSync(join(tmpdir(), 'troupe-recombine-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return (name) => join(folder, name);
}

/** Opens what was written, until the test ends. */
async function opened(t: ExecutionContext, folder: string): Promise<OpenedRun> {
  const run = await openRun(folder);
  t.teardown(() => run.checkpoint.close());
  return run;
}

const heldOut = { ...tinyTokens, seqLen: 8 } as unknown as BatchSource;

async function evaluated(run: Pick<OpenedRun, 'checkpoint' | 'topology'>): Promise<MeasuredLoss> {
  const device = openReferenceDevice({ dtype: 'f32' });
  const model = await TrainedModel.load(device, run);
  const measured = await model.evaluate(heldOut, tinyTokens.numEvalSequences);
  await device.close();
  return measured;
}

const weights = (checkpoint: CheckpointReader, name: string): Promise<Float32Array> =>
  checkpoint.read(`model.layers.1.${name}`, 'weights');
const hashes = ({ manifest }: CheckpointReader): ReadonlyMap<string, string> =>
  new Map(manifest.tensors.map(({ name, group, sha256 }) => [`${group} ${name}`, sha256]));

/** Two relatives, trained on from one checkpoint in layouts of their own. */
async function relatives(precision: 'f32' | 'bf16') {
  const set = ['model.moe.balance.bias=0.01'];
  const parent = await train('parent', tiny({ dp: 1, ep: 1, precision }, set), 1);
  const from = { weightsFrom: parent.checkpoint };
  const a = await train('a', tiny({ dp: 2, ep: 2, zero: 3, precision }, set), 2, from);
  const b = await train('b', tiny({ dp: 1, ep: 1, pp: 2, precision }, set), 3, from);
  return { parent, a, b };
}

for (const precision of ['f32', 'bf16'] as const)
  test(`merge: the mean of what is shared and the experts of both, of checkpoints of other layouts, in ${precision}`, async (t) => {
    const path = place(t);
    const { parent, a, b } = await relatives(precision);
    const before = [a, b].map(({ checkpoint }) => checkpoint.manifest.manifestSha256);
    const merged = await mergeModels(a, b, { out: path('c') });
    const c = await opened(t, path('c'));
    t.is(merged.checkpoint, path('c/step-000000'));
    t.is(c.topology.model.moe?.experts, 8);
    t.deepEqual(c.topology.parallel.ep, 2);
    const { manifest } = c.checkpoint;
    t.deepEqual(manifest.parents, [...before, parent.checkpoint.manifest.manifestSha256]);
    t.deepEqual([manifest.step, manifest.trajectory], [0, { adamClock: 0 }]);
    t.true(manifest.tensors.every(({ group }) => group === 'weights'));

    const [qA, qB, q] = await Promise.all(
      [a, b, c].map(({ checkpoint }) => weights(checkpoint, 'self_attn.q_proj.weight')),
    );
    t.deepEqual(
      [...(q ?? [])],
      Array.from(qA ?? [], (value, index) => Math.fround((value + (qB?.[index] ?? 0)) / 2)),
    );
    t.notDeepEqual(qA, qB);
    for (const name of ['mlp.gate.weight', 'mlp.gate.e_score_correction_bias']) {
      const [rowsA, rowsB, rows] = await Promise.all(
        [a, b, c].map(({ checkpoint }) => weights(checkpoint, name)),
      );
      t.deepEqual([...(rows ?? [])], [...(rowsA ?? []), ...(rowsB ?? [])], name);
    }
    for (const [model, expert, as] of [
      [a, 3, 3],
      [b, 0, 4],
      [b, 3, 7],
    ] as const)
      t.deepEqual(
        await weights(c.checkpoint, `mlp.experts.${as}.down_proj.weight`),
        await weights(model.checkpoint, `mlp.experts.${expert}.down_proj.weight`),
      );
    const all = merged.likeness.at(-1);
    t.deepEqual([all?.kind, merged.likeness.map(({ kind }) => kind).includes('attention')], ['all', true]);
    t.true((all?.cosine ?? 0) > 0.9 && (all?.cosine ?? 1) < 1, JSON.stringify(merged.likeness));

    // It goes on in any layout, with the same numbers.
    t.true(Number.isFinite((await evaluated(c)).loss));
    t.is(loadTopology(path('c/topology.yaml')).model.moe?.experts, 8);
    const goOn = async (layout: TinyLayout, set: readonly string[]): Promise<readonly number[]> => {
      const topology = tiny({ ...layout, precision }, ['model.moe.balance.bias=0.01', ...set]);
      return (await train('on', topology, 2, { weightsFrom: c.checkpoint })).losses;
    };
    const set = ['model.moe.experts=8'];
    const alone = await goOn({ dp: 1, ep: 1 }, set);
    t.deepEqual(await goOn({ dp: 4, ep: 4, zero: 2 }, set), alone);
    t.is(alone.length, 2);
    t.deepEqual(
      await Promise.all([a, b].map(({ checkpoint }) => checkpoint.verify())),
      [undefined, undefined],
      'the sources stay',
    );
  });

for (const precision of ['f32', 'bf16'] as const)
  test(`merge: with itself and --rescale 2 a top-1 model computes the same, bit for bit, in ${precision}`, async (t) => {
    const path = place(t);
    const topology = tiny({ dp: 1, ep: 1, precision }, ['model.moe.topK=1']);
    const a = await train('a', topology, 2);
    const whole = await evaluated(a);
    await mergeModels(a, a, { out: path('same'), rescale: 2 });
    const same = await opened(t, path('same'));
    t.is(same.topology.model.moe?.router.scale, 2);
    const again = await evaluated(same);
    t.is(again.loss, whole.loss);
    // The lower copy of an expert wins.
    t.deepEqual(
      again.choices,
      whole.choices.map(({ layer, counts }) => ({ layer, counts: [...counts, 0, 0, 0, 0] })),
    );
    const [before, after] = [a, same].map(({ checkpoint }) => hashes(checkpoint));
    for (const [tensor, sha256] of before ?? [])
      if (tensor.startsWith('weights') && !tensor.includes('gate.weight'))
        t.is(after?.get(tensor), sha256, tensor);
    await mergeModels(a, a, { out: path('halved') });
    t.not((await evaluated(await opened(t, path('halved')))).loss, whole.loss);
  });

/** Units in the last place between two floats of one sign. */
function ulps(a: number, b: number): number {
  const bits = new Int32Array(Float32Array.of(a, b).buffer);
  return Math.abs((bits[0] ?? 0) - (bits[1] ?? 0));
}

/** Probabilities and the first choice of every row of logits. */
async function gated(
  device: Device,
  logits: readonly number[],
  experts: number,
): Promise<{ readonly probs_TE: HostFloats; readonly choices_T: ArrayLike<number> }> {
  const tokens = logits.length / experts;
  const [probs_TE, weights_TK] = [device.floats(logits.length), device.floats(tokens)];
  const choices_TK = device.ints(tokens);
  const logits_TE = device.floats(logits.length);
  device.write(
    logits_TE,
    device.info.dtype === 'f64' ? Float64Array.from(logits) : Float32Array.from(logits),
  );
  const call: KernelCall = {
    op: 'gate.forward',
    tokens,
    experts,
    topK: 1,
    renormalise: false,
    scores: 'softmax',
    scale: 1,
    expertGroups: 1,
    topGroups: 1,
    choicesGiven: false,
    logits_TE,
    probs_TE,
    choices_TK,
    weights_TK,
  };
  await new Promise<void>((resolve, reject) => {
    device.submit([call], ({ error }) => (error === null ? resolve() : reject(error)));
  });
  return { probs_TE: device.read(probs_TE), choices_T: device.read(choices_TK) };
}

const TOKENS = 80;
/** float32 values, however they are kept. */
const someLogits = (experts: number): readonly number[] =>
  Array.from({ length: TOKENS * experts }, (_, i) => Math.fround(6 * Math.sin(12.9898 * i + experts)));

test('merge: with itself every probability is halved: exactly for 1 to 16 experts in powers of two, else within 4 ulp', async (t) => {
  const bodies = [
    await loadDevice({ threads: 1 }),
    openReferenceDevice({ dtype: 'f32' }),
    openReferenceDevice({ dtype: 'f64' }),
  ];
  for (const device of bodies) {
    for (const experts of [1, 2, 4, 8, 16, 3, 12, 32, 64, 128]) {
      const logits = someLogits(experts);
      const twice = Array.from({ length: TOKENS }, (_, token) => {
        const row = logits.slice(token * experts, (token + 1) * experts);
        return [...row, ...row];
      }).flat();
      const [one, two] = [await gated(device, logits, experts), await gated(device, twice, 2 * experts)];
      const isExact = [1, 2, 4, 8, 16].includes(experts);
      const wrong = Array.from(two.probs_TE, (found, i) => {
        const [token, expert] = [Math.floor(i / (2 * experts)), i % experts];
        const half = (one.probs_TE[token * experts + expert] ?? 0) / 2;
        if (device.info.dtype === 'f64') return Math.abs(found - half) > 1e-15;
        return isExact ? found !== half : ulps(found, half) > 4;
      }).filter(Boolean);
      t.is(wrong.length, 0, `${device.info.name}, ${experts} experts`);
      // Of two copies the lower one is chosen.
      t.deepEqual(Array.from(two.choices_T), Array.from(one.choices_T));
    }
    await device.close();
  }
});

test('prune: a token whose expert stayed still chooses it, and probabilities grow by what is gone', async (t) => {
  const device = openReferenceDevice({ dtype: 'f64' });
  const [all, few] = [await gated(device, [2, 1, 0, -1], 4), await gated(device, [2, 0], 2)];
  const near = (found: HostFloats, expected: readonly number[]): boolean =>
    t.deepEqual(
      Array.from(found, (each) => each.toFixed(6)),
      expected.map((each) => each.toFixed(6)),
    );
  near(all.probs_TE, [0.643914, 0.236883, 0.087144, 0.032059]);
  near(few.probs_TE, [0.880797, 0.119203]);
  const removed = (all.probs_TE[1] ?? 0) + (all.probs_TE[3] ?? 0);
  t.is((1 / (1 - removed)).toFixed(4), ((few.probs_TE[0] ?? 0) / (all.probs_TE[0] ?? 1)).toFixed(4));
  t.is((1 / (1 - removed)).toFixed(4), '1.3679');

  const kept = [1, 2, 4, 7, 10, 13];
  const whole = await gated(device, someLogits(16), 16);
  const rows = someLogits(16).filter((_, i) => kept.includes(i % 16));
  const { choices_T } = await gated(device, rows, kept.length);
  let stayed = 0;
  for (let token = 0; token < TOKENS; token++) {
    const before = whole.choices_T[token] ?? -1;
    if (!kept.includes(before)) continue;
    stayed += 1;
    t.is(kept[choices_T[token] ?? -1], before);
  }
  t.true(stayed > 8 && stayed < TOKENS, `${stayed} of ${TOKENS}`);
  await device.close();
});

test('merge: groups of experts double, and what does not fit is refused in one sentence', async (t) => {
  const path = place(t);
  const trained = async (...set: readonly string[]): Promise<Model> =>
    train(set.join() || 'plain', tiny({ dp: 1, ep: 1 }, set), 1);
  const grouped = await trained('model.moe.router.groups=2', 'model.moe.router.topGroups=1');
  await mergeModels(grouped, grouped, { out: path('grouped') });
  const { model } = (await opened(t, path('grouped'))).topology;
  t.deepEqual([model.moe?.router.groups, model.moe?.router.topGroups], [4, 1]);

  const plain = await trained();
  const other = await trained('train.seed=9');
  const refused: readonly (readonly [Promise<unknown>, RegExp])[] = [
    [mergeModels(plain, grouped, { out: path('x') }), /model\.moe\.router\.groups is 1 in plain and 2 in/],
    [mergeModels(plain, other, { out: path('x') }), /come from no common checkpoint .*say --force/],
    [
      mergeModels(plain, plain, { out: path('x'), rescale: 2 }),
      /--rescale 2 restores .* this model divides those of its 2 choices by their sum/,
    ],
    [mergeModels(plain, plain, { out: path('grouped') }), /grouped' exists; name a folder that does not/],
  ];
  for (const [result, message] of refused) await t.throwsAsync(result, { message });
  const { notes, likeness } = await mergeModels(plain, other, { out: path('forced'), force: true });
  t.regex(notes.join(), /come from no common checkpoint.*merged all the same/);
  t.true((likeness.find(({ kind }) => kind === 'attention')?.cosine ?? 1) < 0.3);
  t.deepEqual(readdirSync(path('')).toSorted(), ['forced', 'grouped'], 'nothing is left of what failed');

  // A merged model is exported, and writes, as any other.
  const forced = await opened(t, path('forced'));
  t.is((await exportHuggingFace(forced, path('hf'))).kind, 'mixtral');
  const there = await readHuggingFace(fileStorage(path('')), 'hf');
  t.is(there.config.moe?.experts, 8);
  const last = 'model.layers.1.mlp.experts.7.up_proj.weight';
  t.deepEqual(await there.read(last), await forced.checkpoint.read(last, 'weights'));
  const device = openReferenceDevice({ dtype: 'f32' });
  const ids: number[] = [];
  const writer = await TrainedModel.load(device, forced);
  for await (const id of writer.generate([1, 2], { maxTokens: 3, temperature: 0, seed: 1 })) ids.push(id);
  t.is(ids.length, 3);
  await device.close();
});

const rowOf = (values: Float32Array, row: number): readonly number[] => [
  ...values.subarray(row * 16, (row + 1) * 16),
];

for (const [optimizer, states] of [
  ['adamw', ['adam-m', 'adam-v']],
  ['sgd', ['sgd-v']],
] as const)
  test(`prune: gate rows, ${states.join(' and ')} are cut alike, and the run goes on in any layout (${optimizer})`, async (t) => {
    const path = place(t);
    const set = [`train.optimizer.kind=${optimizer}`, 'model.moe.balance.bias=0.01'];
    const a = await train('a', tiny({ dp: 2, ep: 2, zero: 3 }, set), 2);
    const { choices } = await evaluated(a);
    const pruned = await pruneModel(a, { out: path('p'), keep: 2, by: choices, keepOptimizer: true });
    const p = await opened(t, path('p'));
    const kept = pruned.kept.find(({ layer }) => layer === 1)?.experts ?? [];
    const counts = choices.find(({ layer }) => layer === 1)?.counts ?? [];
    const lost = [0, 1, 2, 3].filter((expert) => !kept.includes(expert));
    t.is(kept.length, 2);
    for (const stays of kept) for (const goes of lost) t.true((counts[stays] ?? 0) >= (counts[goes] ?? 0));
    for (const group of ['weights', ...states] as const) {
      const read = ({ checkpoint }: Pick<Model, 'checkpoint'>, name: string): Promise<Float32Array> =>
        checkpoint.read(`model.layers.1.mlp.${name}`, group);
      const [before, after] = [await read(a, 'gate.weight'), await read(p, 'gate.weight')];
      t.true(before.some((value) => value !== 0));
      for (const [row, expert] of kept.entries()) {
        t.deepEqual(rowOf(after, row), rowOf(before, expert), group);
        t.deepEqual(
          await read(p, `experts.${row}.up_proj.weight`),
          await read(a, `experts.${expert}.up_proj.weight`),
          group,
        );
      }
    }
    const [all, few] = await Promise.all(
      [a, p].map(({ checkpoint }) => weights(checkpoint, 'mlp.gate.e_score_correction_bias')),
    );
    t.deepEqual(
      [...(few ?? [])],
      kept.map((expert) => all?.[expert] ?? Number.NaN),
    );
    // (E - k) experts of three matrices, a gate row and a bias, in two layers.
    t.is(pruned.numParametersBefore - pruned.numParameters, 2 * (2 * (3 * 16 * 24 + 16 + 1)));
    t.deepEqual(p.checkpoint.manifest.parents, [a.checkpoint.manifest.manifestSha256]);
    t.is(p.checkpoint.manifest.step, 2);
    t.like(p.checkpoint.manifest.trajectory, { adamClock: 2 });
    const goOn = async (layout: TinyLayout): Promise<readonly number[]> => {
      const topology = tiny(layout, [...set, 'model.moe.experts=2']);
      return (await train('on', topology, 3, { resumeFrom: p.checkpoint })).losses;
    };
    const alone = await goOn({ dp: 1, ep: 1 });
    t.deepEqual(await goOn({ dp: 2, ep: 2, zero: 1, pp: 2 }), alone);
    t.is(alone.length, 1);
  });

for (const optimizer of ['adamw', 'adafactor', 'muon'] as const)
  test(`prune: keeping all experts keeps every hash (${optimizer})`, async (t) => {
    const path = place(t);
    const set = [`train.optimizer.kind=${optimizer}`];
    const a = await train('a', tiny({ dp: 1, ep: 1, pp: 2, precision: 'bf16' }, set), 1);
    await pruneModel(a, { out: path('p'), keep: 4, by: { seed: 1 }, keepOptimizer: true });
    const p = await opened(t, path('p'));
    t.deepEqual(hashes(p.checkpoint), hashes(a.checkpoint));
    t.is((await evaluated(p)).loss, (await evaluated(a)).loss);
    if (optimizer !== 'adafactor') return;
    const few = await pruneModel(a, { out: path('few'), keep: 3, by: { seed: 1 }, keepOptimizer: true });
    t.regex(few.notes.join(), /Adafactor's statistics of the routers restart/);
    const { checkpoint } = await opened(t, path('few'));
    const row = await checkpoint.read('model.layers.0.mlp.gate.weight', 'adafactor-row');
    t.deepEqual([...row], [0, 0, 0]);
    const ofExpert = await checkpoint.read('model.layers.0.mlp.experts.0.up_proj.weight', 'adafactor-row');
    t.true(ofExpert.every((value) => value > 0));
  });

test('prune: a lot is the same for a seed; what cannot be kept is refused in one sentence', async (t) => {
  const path = place(t);
  const a = await train('a', tiny({ dp: 4, ep: 4 }), 1);
  const [one, two] = [
    await pruneModel(a, { out: path('one'), keep: 2, by: { seed: 3 } }),
    await pruneModel(a, { out: path('two'), keep: 2, by: { seed: 3 } }),
  ];
  t.deepEqual(one.kept, two.kept);
  t.regex(one.notes.join(), /parallel\.ep is 2 instead of 4: it divides 2 experts/);
  const kept = new Set<string>();
  for (let seed = 0; seed < 5; seed++)
    kept.add(JSON.stringify((await pruneModel(a, { out: path(`s${seed}`), keep: 2, by: { seed } })).kept));
  t.true(kept.size > 2, `${kept.size} lots of 5 seeds`);
  const p = await opened(t, path('one'));
  t.true(p.checkpoint.manifest.tensors.every(({ group }) => group === 'weights'));
  t.deepEqual(readdirSync(path('one')).toSorted(), ['latest', 'step-000000', 'topology.yaml']);
  t.regex(readFileSync(path('one/topology.yaml'), 'utf8'), /experts: 2\n/);

  // Damage that comes to light half way leaves nothing.
  const file = path('two/step-000000/weights.safetensors');
  const bytes = readFileSync(file);
  writeFileSync(file, bytes.fill(7, bytes.length - 4));
  const damaged = await openRun(path('two'), { verify: 'lazy' });
  t.teardown(() => damaged.checkpoint.close());
  await t.throwsAsync(pruneModel(damaged, { out: path('x'), keep: 2, by: { seed: 1 } }), {
    code: 'TROUPE_CHECKPOINT_DAMAGED',
  });
  t.deepEqual(
    readdirSync(path('')).filter((name) => name.includes('x')),
    [],
  );

  const refuse = async (model: Model, keep: number, message: RegExp): Promise<void> => {
    await t.throwsAsync(pruneModel(model, { out: path('x'), keep, by: { seed: 1 } }), { message });
  };
  await refuse(a, 1, /a token chooses 2 experts .*more than the 1 to be kept/);
  await refuse(a, 5, /5 experts cannot be kept of 4/);
  const groups = ['model.moe.router.groups=2', 'model.moe.router.topGroups=1'];
  const grouped = await train('grouped', tiny({ dp: 1, ep: 1 }, groups), 1);
  await refuse(grouped, 3, /3 experts are not divisible by 2 routing groups/);
  await refuse(grouped, 2, /1 groups of 1 experts are fewer than the 2/);
  const choosing = await train(
    'choosing',
    tiny({ dp: 1, ep: 1 }, ['model.moe.router.kind=expert-choice', 'model.moe.router.groupSequences=2']),
    1,
  );
  await refuse(choosing, 2, /the experts of choosing choose their tokens/);
});
