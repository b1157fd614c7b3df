import test from 'ava';
import { openReferenceDevice } from '@troupe/kernels';
import { isOperandOnly } from '@troupe/spec';
import { modelLayout } from './local-model.ts';
import { RoundedWeights, WeightArrays } from './rounded-weights.ts';
import { tinyConfig } from './testing/tiny-model.ts';

const layout = modelLayout(tinyConfig());
const device = openReferenceDevice();
const open = (): RoundedWeights =>
  new RoundedWeights(layout, new WeightArrays(device, layout, isOperandOnly));

test('rounded weights: products read bf16; norms, routers and the embedding stay in f32', (t) => {
  const weights = open();
  for (const { id, size } of layout.units) {
    const isFloat = id === 'embed' || /norm|gate/.test(id);
    t.is(weights.operand(id).length, size);
    const [slice] = weights.slices(...placeOf(id));
    t.is(slice?.kind, isFloat ? 'f32' : 'bf16', id);
    if (isFloat) t.is(weights.view(id).length, size);
    else t.throws(() => weights.view(id), { message: /held in f32/ }, id);
  }
});

test('rounded weights: slices tile a range, and share memory with the views of units', (t) => {
  const weights = open();
  const slices = weights.slices(0, layout.length);
  t.is(slices[0]?.from, 0);
  t.is(slices.at(-1)?.to, layout.length);
  slices.forEach(({ from, to, values }, index) => {
    t.is(values.length, to - from);
    t.is(slices[index + 1]?.from ?? layout.length, to);
  });
  const [first] = placeOf('L1/expert2');
  const [one] = weights.slices(first + 3, first + 4);
  if (one?.kind === 'bf16') device.write(one.values, [0x3f_80]);
  t.is(device.read(weights.operand('L1/expert2'))[3], 0x3f_80);
  const span = weights.span('L1/expert1', 'L1/expert3');
  const [start] = placeOf('L1/expert1');
  t.is(device.read(span)[first + 3 - start], 0x3f_80);
});

function placeOf(id: string): readonly [number, number] {
  const index = layout.units.findIndex((unit) => unit.id === id);
  const start = layout.starts[index]!;
  return [start, start + layout.units[index]!.paddedSize];
}
