import test from 'ava';
import { openReferenceDevice } from '@troupe/kernels';
import { Activations } from './activations.ts';
import { tinyConfig } from './testing/tiny-model.ts';

const shape = { config: tinyConfig({ layers: 4, moe: { every: 2 } }), sequences: 4, grains: 2 };

test('activations: inference holds one set for all layers, training one for each', (t) => {
  const device = openReferenceDevice();
  const inference = new Activations(device, shape, { training: false });
  const training = new Activations(device, shape, { training: true });
  t.is(inference.layer(0), inference.layer(3));
  t.is(inference.hidden(0), inference.hidden(4));
  t.not(training.layer(0), training.layer(3));
  t.not(training.hidden(0), training.hidden(4));
  t.true(training.bytes > 4 * inference.bytes);
  t.throws(() => inference.gradients, { code: 'TROUPE_INVARIANT' });
});

test('activations: a stage in the middle knows its own layers alone', (t) => {
  const stage = new Activations(openReferenceDevice(), shape, {
    training: true,
    layers: { first: 1, count: 2 },
  });
  t.is(stage.hidden(1).length, 24 * 8);
  t.is(stage.hidden(3).length, 24 * 8);
  t.throws(() => stage.hidden(0), { code: 'TROUPE_INVARIANT' });
  t.throws(() => stage.layer(3), { code: 'TROUPE_INVARIANT' });
  t.throws(() => stage.moe(2), { code: 'TROUPE_INVARIANT' });
  t.is(stage.loss_T.length, 0);
});
