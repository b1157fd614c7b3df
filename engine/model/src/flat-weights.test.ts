import test from 'ava';
import { flatLayout } from '@troupe/spec';
import { UnknownParameterError } from './errors.ts';
import { FlatWeights } from './flat-weights.ts';
import { modelLayout } from './local-model.ts';
import { tinyConfig } from './tiny-model.ts';

const layout = modelLayout(tinyConfig());

test('flat weights: views share memory, tile the units and leave the padding out', (t) => {
  const weights = new FlatWeights(layout, new Float32Array(layout.length));
  for (const unit of layout.units) {
    weights.view(unit.id).fill(1);
    t.is(weights.view(unit.id).length, unit.size);
    for (const { name, size } of unit.parameters) t.is(weights.parameter(name).length, size);
  }
  const size = layout.units.reduce((sum, unit) => sum + unit.size, 0);
  t.is(
    Array.from(weights.data).reduce((sum, each) => sum + each, 0),
    size,
  );
  t.is(weights.view('L0/qkv'), weights.view('L0/qkv'));
});

test('flat weights: a span reaches from one unit to the end of another', (t) => {
  const weights = new FlatWeights(layout, new Float32Array(layout.length));
  const span = weights.span('L1/expert1', 'L1/expert3');
  const [unit] = layout.units.filter(({ id }) => id === 'L1/expert1');
  t.is(span.length, 3 * unit!.paddedSize);
  weights.view('L1/expert2').fill(5);
  t.is(span[unit!.paddedSize], 5);
});

test('flat weights: an unknown name is an error that names it', (t) => {
  const empty = flatLayout([]);
  const weights = new FlatWeights(empty, new Float32Array(0));
  t.throws(() => weights.view('L9/qkv'), { instanceOf: UnknownParameterError, message: /L9\/qkv/ });
  t.throws(() => weights.parameter('nothing'), { instanceOf: UnknownParameterError });
});
