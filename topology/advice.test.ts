import test from 'ava';
import { adviceOn, formatAdvice } from './advice.ts';
import { resolveTopology } from './resolve.ts';

test('resolveTopology: a tied head begins with logits near 1, unless the file says otherwise', (t) => {
  const embedding = (model: object): number => resolveTopology({ model }).model.init.embedding;
  t.is(embedding({}), 1);
  t.is(embedding({ tiedHead: true, dModel: 64 }), 1 / 8);
  t.is(embedding({ tiedHead: true, init: { embedding: 1 } }), 1);
  t.is(embedding({ tiedHead: true, init: { scale: 2 }, dModel: 256 }), 1 / 16);
  t.is(embedding({ tiedHead: false, init: { embedding: 0.02 } }), 0.02);
});

test('resolveTopology: the file of a manifest keeps the embedding that it was written with', (t) => {
  const { file } = resolveTopology({ model: {} });
  const old = { ...file, model: { ...file.model, tiedHead: true } };
  t.is(resolveTopology(old).model.init.embedding, 1);
});

test('adviceOn: names the value that fits a tied head', (t) => {
  const [advice, ...rest] = adviceOn(
    resolveTopology({ model: { tiedHead: true, dModel: 128, init: { embedding: 1 } } }),
  );
  t.deepEqual(rest, []);
  t.is(
    advice === undefined ? '' : formatAdvice(advice),
    'warning: model.init.embedding: 1 with tiedHead: logits begin with a standard deviation of 11.3, so the loss begins far above ln(vocab) = 8.3; leave it out, or set 0.0884',
  );
});

test('adviceOn: says that a tokenizer of bytes reads no file', (t) => {
  const [advice] = adviceOn(
    resolveTopology({ model: {}, data: { tokenizer: { kind: 'bytes', file: 'a.json' } } }),
  );
  t.is(advice?.key, 'data.tokenizer.file');
});

test('adviceOn: is silent about what fits', (t) => {
  for (const model of [{}, { tiedHead: true }, { tiedHead: true, init: { embedding: 0.02 } }])
    t.deepEqual(adviceOn(resolveTopology({ model })), []);
});

test('adviceOn: grains that leave devices without work, once a run shrinks, name the nearest that do not', (t) => {
  const on = (grains: number) =>
    adviceOn(
      resolveTopology({
        model: {},
        train: { batch: grains, grains },
        machines: { count: 4, devices: ['cpu:0'], min: 2 },
        recovery: { machines: 'shrink' },
      }),
    ).map(({ key, text }) => `${key}: ${text}`);
  t.deepEqual(on(16), [
    'train.grains: 16 leaves devices without work on 3 machines, should the run shrink; 12 with batch 12 would not',
  ]);
  t.deepEqual(on(24), []);
});
