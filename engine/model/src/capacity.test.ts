import test from 'ava';
import { openReferenceDevice } from '@troupe/kernels';
import { defaultRouter, dropless, type CapacityConfig, type MoeConfig } from '@troupe/spec';
import type { Batch } from './batch.ts';
import { LocalModel, type DrawPlace, type LocalModelOptions } from './local-model.ts';
import { tinyBatch, tinyChoice, tinyConfig } from './testing/tiny-model.ts';

const room = (changes: Partial<CapacityConfig>): CapacityConfig => ({ ...dropless, min: 1, ...changes });

/** Two grains of two sequences of six tokens, top 2 of 4 experts: 12 rows a grain and expert at even load times the factor. */
async function open(moe: Partial<MoeConfig>, options: Partial<LocalModelOptions> = {}) {
  const config = tinyConfig({ moe });
  const made = new LocalModel(openReferenceDevice(), { config, sequences: 4, grains: 2, ...options });
  await made.initialise(3);
  return made;
}

/** Chosen and kept experts of every token of a layer, as the last training pass left them. */
function choicesOf(model: LocalModel, layer: number) {
  const { choices_TK, kept_TK } = model.trainingActivations.moe(layer);
  return { chosen: [...model.device.read(choices_TK)], kept: [...model.device.read(kept_TK)] };
}

const numOf = (choices: readonly number[], expert?: number): number =>
  choices.filter((each) => (expert === undefined ? each >= 0 : each === expert)).length;

/** Rows [first, first + count) of a batch's sequences. */
function part(batch: Batch, first: number, count: number, seqLen: number): Batch {
  const cut = <A extends Int32Array | Uint8Array>(all: A): A =>
    all.slice(first * seqLen, (first + count) * seqLen) as A;
  return {
    ids_T: cut(batch.ids_T),
    targets_T: cut(batch.targets_T),
    firstSeen_T: cut(batch.firstSeen_T),
    valid_T: cut(batch.valid_T),
  };
}

for (const drop of ['random', 'position', 'probability'] as const)
  test(`capacity, ${drop}: an expert keeps at most its share of a grain, and what is dropped is counted`, async (t) => {
    const model = await open({ capacity: room({ train: 0.75, drop }) });
    const batch = tinyBatch(model.config);
    await model.lossAndGradients(batch);
    const { dropped_L } = model.statistics.totals();
    for (const layer of [0, 1]) {
      const { chosen, kept } = choicesOf(model, layer);
      t.is(dropped_L[layer], numOf(chosen) - numOf(kept));
      t.true(dropped_L[layer]! > 0, 'or nothing is tested');
      t.true(kept.every((each, place) => each === chosen[place] || each === -1));
      const tokens = batch.valid_T.length / 2;
      for (const grain of [0, 1]) {
        const valid = batch.valid_T.slice(grain * tokens, (grain + 1) * tokens).filter(Boolean).length;
        const capacity = Math.ceil((valid * 2 * 0.75) / 4);
        const ofGrain = (all: readonly number[]) => all.slice(grain * tokens * 2, (grain + 1) * tokens * 2);
        for (let expert = 0; expert < 4; expert++)
          t.is(
            numOf(ofGrain(kept), expert),
            Math.min(capacity, numOf(ofGrain(chosen), expert)),
            `grain ${grain}, expert ${expert}`,
          );
      }
    }
  });

test('capacity: the layer adds nothing to a token that all its experts dropped, and its weights are 0, not NaN', async (t) => {
  const model = await open({ topK: 1, capacity: room({ train: 0.25 }) });
  const batch = tinyBatch(model.config);
  const { total, norm } = await model.lossAndGradients(batch);
  t.true(Number.isFinite(total) && Number.isFinite(norm));
  const act = model.trainingActivations;
  const { kept } = choicesOf(model, 1);
  const [before, after] = [act.layer(1).mid_TD, act.hidden(2)].map((each) => [...model.device.read(each)]);
  const weights = model.device.read(act.moe(1).weights_TK);
  const row = (all: readonly number[] | undefined, token: number) => all?.slice(token * 8, (token + 1) * 8);
  let dropped = 0;
  kept.forEach((expert, token) => {
    if (expert >= 0) return;
    dropped += 1;
    t.deepEqual(row(after, token), row(before, token));
    t.is(weights[token], 0);
  });
  t.true(dropped > batch.valid_T.filter((each) => each === 0).length);
});

test('capacity: experts drop of choices that are forced on them too', async (t) => {
  const model = await open({ choice: 'skewed', capacity: room({ train: 1 }) });
  await model.lossAndGradients(tinyBatch(model.config));
  const { chosen, kept } = choicesOf(model, 0);
  t.true(numOf(kept) > 0 && numOf(kept) < numOf(chosen));
});

test('jitter: where experts choose, ranks and chunks of rows change nothing', async (t) => {
  const choice = tinyChoice(4);
  const moe = { ...choice, router: { ...defaultRouter, ...choice.router, jitter: 0.2 } };
  const [one, many, still] = [await open(moe), await open(moe, { ranks: 2, chunks: 2 }), await open(choice)];
  const batch = tinyBatch(one.config);
  const place = { step: 3, firstSequence: 4 };
  const expected = await one.lossAndGradients(batch, place);
  t.is((await many.lossAndGradients(batch, place)).total, expected.total);
  t.not((await still.lossAndGradients(batch, place)).total, expected.total);
});

test('capacity: nothing changes where nothing overflows', async (t) => {
  const [plain, wide] = [await open({}), await open({ capacity: room({ train: 4, eval: 4 }) })];
  const batch = tinyBatch(plain.config);
  const [a, b] = [await plain.lossAndGradients(batch), await wide.lossAndGradients(batch)];
  t.true(Math.abs(a.total - b.total) < 1e-12);
  t.is(wide.statistics.totals().dropped_L.join(), '0,0');
  t.true(Math.abs((await plain.forward(batch)).loss - (await wide.forward(batch)).loss) < 1e-12);
});

test('capacity: an evaluation drops by its own factor without noise, generation drops nothing', async (t) => {
  const router = { ...defaultRouter, sampling: 'second', jitter: 0.2 } as const;
  const [plain, trains, evaluates] = [
    await open({}),
    await open({ capacity: room({ train: 0.5, eval: 0 }), router }),
    await open({ capacity: room({ train: 0, eval: 0.5 }), router }),
  ];
  const batch = tinyBatch(plain.config);
  const expected = await plain.forward(batch);
  t.deepEqual(await trains.forward(batch), expected);
  const dropping = await evaluates.forward(batch, { seed: 1, step: 4 });
  t.not(dropping.loss, expected.loss);
  t.deepEqual(await evaluates.forward(batch, { seed: 1, step: 9 }), dropping, 'whatever the step');
  t.notDeepEqual(await evaluates.forward(batch, { seed: 2 }), dropping, 'but not whatever the seed');
  const logits = [...(await plain.logits(batch))];
  for (const model of [trains, evaluates]) t.deepEqual([...(await model.logits(batch))], logits);
});

test('capacity: draws belong to step and sequence, and to no microbatch, rank or chunk', async (t) => {
  const moe: Partial<MoeConfig> = {
    capacity: room({ train: 0.75 }),
    router: { ...defaultRouter, sampling: 'second', jitter: 0.1 },
  };
  const place = { seed: 7, step: 3, firstSequence: 8 };
  const whole = await open(moe);
  const batch = tinyBatch(whole.config);
  const kept = async (model: LocalModel, of: Batch, at: DrawPlace) => {
    await model.lossAndGradients(of, at);
    return [0, 1].map((layer) => choicesOf(model, layer));
  };
  const expected = await kept(whole, batch, place);
  t.deepEqual(await kept(whole, batch, place), expected);
  for (const options of [{ ranks: 2 }, { ranks: 4, chunks: 2 }])
    t.deepEqual(await kept(await open(moe, options), batch, place), expected);
  const half = await open(moe, { sequences: 2, grains: 1 });
  const { seqLen } = half.config;
  const first = await kept(half, part(batch, 0, 2, seqLen), place);
  const second = await kept(half, part(batch, 2, 2, seqLen), { ...place, firstSequence: 10 });
  t.deepEqual(
    first.map(({ chosen, kept: of }, layer) => ({
      chosen: [...chosen, ...second[layer]!.chosen],
      kept: [...of, ...second[layer]!.kept],
    })),
    expected,
  );
  for (const other of [{ step: 4 }, { seed: 8 }, { firstSequence: 9 }])
    t.notDeepEqual(await kept(whole, batch, { ...place, ...other }), expected);
});

test('balance domain: one domain of the whole batch is the global balance; domains of padding alone do not count', async (t) => {
  const balance = { auxLoss: 0.5, zLoss: 0, layers: 'each', bias: 0 } as const;
  const [domain, global, each] = [
    await open({ balance: { ...balance, scope: 'domain', domain: 2 } }),
    await open({ balance: { ...balance, scope: 'global', domain: 1 } }),
    await open({ balance: { ...balance, scope: 'domain', domain: 1 } }),
  ];
  const batch = tinyBatch(domain.config);
  const [a, b] = [await domain.lossAndGradients(batch), await global.lossAndGradients(batch)];
  t.true(Math.abs(a.auxLoss - b.auxLoss) < 1e-9, `${a.auxLoss} ${b.auxLoss}`);
  const [da, db] = [domain.device.read(a.gradients.data), global.device.read(b.gradients.data)];
  t.true(da.every((value, i) => Math.abs(value - db[i]!) < 1e-9));
  // The second grain becomes padding: what is left is the balance of the first.
  const padded = { ...batch, valid_T: batch.valid_T.slice(), targets_T: batch.targets_T.slice() };
  padded.valid_T.fill(0, batch.valid_T.length / 2);
  padded.targets_T.fill(-1, batch.valid_T.length / 2);
  const [c, d] = [await each.lossAndGradients(padded), await global.lossAndGradients(padded)];
  t.true(Math.abs(c.auxLoss - d.auxLoss) < 1e-9, `${c.auxLoss} ${d.auxLoss}`);
});
