import test from 'ava';
import type { ChoiceSource } from '@troupe/kernel-set';
import { openReferenceDevice } from '@troupe/kernels';
import { expertTake, type MoeConfig } from '@troupe/spec';
import { Activations } from './activations.ts';
import { denseBatch, uploadBatch, type Batch } from './batch.ts';
import { runCalls } from './device-run.ts';
import { candidatesOf, decide, decideLocally, nominate, take } from './expert-choice.ts';
import { routerBackward } from './gate.ts';
import { LocalModel, type LocalModelOptions } from './local-model.ts';
import { StageStatistics } from './statistics.ts';
import type { StageContext } from './stage-context.ts';
import { tinyBatch, tinyChoice, tinyConfig } from './testing/tiny-model.ts';

const config = (groupSequences: number, changes: Partial<MoeConfig> = {}) =>
  tinyConfig({ moe: tinyChoice(groupSequences, changes) });

async function open(model: LocalModelOptions['config'], options: Partial<LocalModelOptions> = {}) {
  const made = new LocalModel(openReferenceDevice(), { config: model, sequences: 4, grains: 2, ...options });
  await made.initialise(3);
  return made;
}

/** Experts of every token in a layer, as the last training pass chose them. */
function choicesOf(model: LocalModel, layer: number): readonly (readonly number[])[] {
  const { experts } = model.config.moe ?? { experts: 0 };
  const choices = [...model.device.read(model.trainingActivations.moe(layer).choices_TK)];
  return Array.from({ length: choices.length / experts }, (_, token) =>
    choices.slice(token * experts, (token + 1) * experts).filter((expert) => expert >= 0),
  );
}

/** Four sequences of one position, two experts, of which each takes two tokens: the example of the definition. */
const logits = [
  [0, 0],
  [0, 0],
  [1, -1],
  [-1, 1],
] as const;

/** Some of them as the microbatch of a replica. */
async function worked(sequences: readonly (typeof logits)[number][], firstSequence: number) {
  const device = openReferenceDevice();
  const model = tinyConfig({ layers: 1, seqLen: 1, moe: tinyChoice(4, { experts: 2, topK: 1 }) });
  const shape = { config: model, sequences: sequences.length, grains: 1 };
  const act = new Activations(device, shape, { training: true });
  const none = device.floats(64);
  const context: StageContext = {
    shape,
    act,
    weights: { view: () => none, operand: () => none, part: () => none, span: () => none },
    gradients: null,
    positions: { cos_S2: none, sin_S2: none, sines_SD: none },
    statistics: new StageStatistics(device, model),
  };
  const batch = uploadBatch(device, denseBatch(new Int32Array(sequences.length), 1));
  device.write(act.moe(0).logits_TE, sequences.flat());
  await runCalls(device, nominate(context, 0, batch, firstSequence));
  return { device, act, context, batch };
}

/** Bits of .5, then how far behind a sequence stands. */
const halfKey = (sequence: number): bigint => (0x3f000000n << 32n) + 0xffffffffn - BigInt(sequence);

test('expert choice: the worked example, from logits to their gradient', async (t) => {
  const { device, act, context, batch } = await worked(logits, 0);
  await runCalls(device, [...decideLocally(context, 0), ...take(context, 0, batch, 0)]);
  const { choices_TK, weights_TK } = act.moe(0);
  // Expert 0 takes sequence 2, then the earlier of the tie; expert 1 sequence 3, then the same: sequence 1 gets nobody.
  t.deepEqual([...device.read(choices_TK)], [0, 1, -1, -1, 0, -1, -1, 1]);
  const p = 1 / (1 + Math.exp(-2));
  const weights = [...device.read(weights_TK)];
  t.true([0.5, 0.5, 0, 0, p, 0, 0, p].every((each, i) => Math.abs(each - weights[i]!) < 1e-12));
  t.deepEqual([...device.read(act.choice!.thresholds)], [halfKey(0), halfKey(0)]);

  const [a, b] = [3, 1];
  device.write(act.gradients.dWeights_TK, [a, b, 0, 0, a, 0, 0, b]);
  const [call] = routerBackward(
    {
      ...context,
      gradients: { view: () => ({ values: device.int64s(8), overflow: device.ints(1) }) } as never,
    },
    0,
    batch,
    { auxScale: 0, zScale: 0 },
  );
  await runCalls(device, [call!]);
  const found = [...device.read(act.gradients.dLogits_TE)];
  const slope = 0.104994;
  const expected = [0.25 * (a - b), -0.25 * (a - b), 0, 0, slope * a, -slope * a, -slope * b, slope * b];
  t.true(
    expected.every((each, i) => Math.abs(each - found[i]!) < 2e-6),
    found.join(' '),
  );
});

test('expert choice: two replicas with half of a group each find what one finds', async (t) => {
  const halves = [await worked(logits.slice(0, 2), 0), await worked(logits.slice(2), 2)];
  const all = { from: 0, to: 1 };
  const [first, second] = halves.map(({ context }): ChoiceSource => candidatesOf(context, 0, all));
  for (const { device, act, context } of halves) {
    // In any order.
    const sources = device === halves[0]!.device ? [first!, second!] : [second!, first!];
    await runCalls(device, [decide(context, 0, 1, sources, act.choice!.thresholds)]);
    t.deepEqual([...device.read(act.choice!.thresholds)], [halfKey(0), halfKey(0)]);
  }
  const chosen = [];
  for (const [index, { device, act, context, batch }] of halves.entries()) {
    await runCalls(device, take(context, 0, batch, 2 * index));
    chosen.push(...device.read(act.moe(0).choices_TK));
  }
  t.deepEqual(chosen, [0, 1, -1, -1, 0, -1, -1, 1]);
});

test('expert choice: an expert takes exactly k tokens at each position, and a token has topK experts on average', async (t) => {
  for (const [group, changes] of [
    [2, {}],
    [4, { experts: 8, topK: 2 }],
    [4, { experts: 2, topK: 1 }],
  ] as const) {
    const model = await open(config(group, changes));
    const batch = denseBatch(tinyBatch(model.config).ids_T, 6);
    await model.lossAndGradients(batch);
    const { moe } = model.config;
    const k = expertTake(moe!);
    for (const layer of [0, 1]) {
      const chosen = choicesOf(model, layer);
      for (let first = 0; first < 4; first += group)
        for (let position = 0; position < 6; position++)
          for (let expert = 0; expert < moe!.experts; expert++) {
            const sequences = Array.from({ length: group }, (_, index) => first + index);
            const taken = sequences.filter((sequence) => chosen[sequence * 6 + position]!.includes(expert));
            t.is(taken.length, k);
          }
      t.is(chosen.flat().length, 24 * moe!.topK);
      t.true(chosen.every((experts) => experts.every((each, i) => i === 0 || each > experts[i - 1]!)));
    }
  }
});

test('expert choice: weights are the probabilities as they are', async (t) => {
  const model = await open(config(4));
  await model.lossAndGradients(tinyBatch(model.config));
  const { probs_TE, weights_TK, choices_TK } = model.trainingActivations.moe(0);
  const [probs, weights, choices] = [probs_TE, weights_TK, choices_TK].map((each) => [
    ...model.device.read(each),
  ]);
  t.deepEqual(
    weights,
    choices!.map((choice, i) => (choice < 0 ? 0 : probs![i]!)),
  );
  t.true(choices!.some((each) => each >= 0));
});

test('expert choice: no output at a position depends on tokens behind it, in any sequence', async (t) => {
  const model = await open(config(4, { every: 2, sharedExperts: 1 }));
  const { seqLen, vocab } = model.config;
  const batch = denseBatch(tinyBatch(model.config).ids_T, seqLen);
  const before = (await model.logits(batch)).slice();
  let otherRouting = 0;
  for (let position = 1; position < seqLen; position++) {
    const ids_T = batch.ids_T.map((id, i) => (i % seqLen < position ? id : (id + 3 + i) % vocab));
    const after = await model.logits({ ...batch, ids_T });
    for (let token = 0; token < batch.ids_T.length; token++) {
      const row = (all: typeof after) => all.slice(token * vocab, (token + 1) * vocab);
      if (token % seqLen < position) t.deepEqual(row(after), row(before), `token ${token}`);
      else otherRouting += 1;
    }
  }
  t.true(otherRouting > 0);
  // It does depend on other sequences at its own position, or nothing would have been compared.
  const ids_T = batch.ids_T.map((id, i) => (i >= seqLen ? (id + 1) % vocab : id));
  const first = seqLen * vocab;
  t.notDeepEqual((await model.logits({ ...batch, ids_T })).slice(0, first), before.slice(0, first));
});

const batches: readonly (readonly [string, (batch: Batch) => Batch])[] = [
  ['padding', (batch) => batch],
  ['one token', (batch) => ({ ...batch, valid_T: batch.valid_T.map((_, i) => (i === 7 ? 1 : 0)) })],
  ['nothing but padding', (batch) => ({ ...batch, valid_T: batch.valid_T.map(() => 0) })],
];

for (const [what, change] of batches) {
  test(`expert choice: ranks and chunks of rows change nothing: ${what}`, async (t) => {
    const model = config(4, { sharedExperts: 1, norm: true });
    const batch = change(tinyBatch(model));
    batch.targets_T.forEach((_, i) => {
      if (batch.valid_T[i] === 0) batch.targets_T[i] = -1;
    });
    const one = await open(model);
    const expected = await one.lossAndGradients(batch);
    t.true(Number.isFinite(expected.total) && Number.isFinite(expected.norm));
    for (const options of [{ ranks: 2 }, { ranks: 4 }, { chunks: 2 }, { ranks: 2, chunks: 2 }]) {
      const many = await open(model, options);
      const found = await many.lossAndGradients(batch);
      t.is(found.total, expected.total);
      t.deepEqual(many.device.read(found.gradients.data), one.device.read(expected.gradients.data));
      t.is((await many.forward(batch)).total, expected.total);
    }
  });
}

test('expert choice: padding is never taken, and k follows the valid tokens of a position', async (t) => {
  const model = await open(config(4));
  const batch = tinyBatch(model.config);
  await model.lossAndGradients(batch);
  const chosen = choicesOf(model, 0);
  for (let position = 0; position < 6; position++) {
    const valid = [0, 1, 2, 3].filter((sequence) => batch.valid_T[sequence * 6 + position] === 1).length;
    const taken = [0, 1, 2, 3].flatMap((sequence) => chosen[sequence * 6 + position]!);
    // floor((2·n_v·2 + 4) / 8) tokens of each of 4 experts.
    t.is(taken.length, 4 * Math.floor((4 * valid + 4) / 8));
  }
  t.true(batch.valid_T.every((valid, token) => valid === 1 || chosen[token]!.length === 0));
});
