import test from 'ava';
import { openReferenceDevice } from '@troupe/kernels';
import { flatLayout } from '@troupe/spec';
import { UnknownParameterError } from './errors.ts';
import { FlatWeights } from './flat-weights.ts';
import { modelLayout } from './local-model.ts';
import { tinyConfig } from './testing/tiny-model.ts';

const layout = modelLayout(tinyConfig());
const device = openReferenceDevice();

test('flat weights: views share memory, tile the units and leave the padding out', (t) => {
  const weights = new FlatWeights(layout, device.floats(layout.length));
  for (const unit of layout.units) {
    device.write(weights.view(unit.id), new Float32Array(unit.size).fill(1));
    t.is(weights.view(unit.id).length, unit.size);
    for (const { name, size } of unit.parameters) t.is(weights.parameter(name).length, size);
  }
  const size = layout.units.reduce((sum, unit) => sum + unit.size, 0);
  t.is(
    Array.from(device.read(weights.data)).reduce((sum, each) => sum + each, 0),
    size,
  );
  t.is(weights.view('L0/qkv'), weights.view('L0/qkv'));
});

test('flat weights: a span reaches from one unit to the end of another', (t) => {
  const weights = new FlatWeights(layout, device.floats(layout.length));
  const span = weights.span('L1/expert1', 'L1/expert3');
  const [unit] = layout.units.filter(({ id }) => id === 'L1/expert1');
  t.is(span.length, 3 * unit!.paddedSize);
  device.write(weights.view('L1/expert2'), [5]);
  t.is(device.read(span)[unit!.paddedSize], 5);
});

test('flat weights: an unknown name is an error that names it', (t) => {
  const empty = flatLayout([]);
  const weights = new FlatWeights(empty, device.floats(0));
  t.throws(() => weights.view('L9/qkv'), { instanceOf: UnknownParameterError, message: /L9\/qkv/ });
  t.throws(() => weights.parameter('nothing'), { instanceOf: UnknownParameterError });
});
