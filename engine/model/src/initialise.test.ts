import test from 'ava';
import type { HostFloats } from '@troupe/core';
import { openReferenceDevice } from '@troupe/kernels';
import { expertUnit, layerUnits } from '@troupe/spec';
import { initialise } from './initialise.ts';
import { tinyConfig } from './testing/tiny-model.ts';

test('initialise: any slice of a unit holds what the whole unit holds there', (t) => {
  const device = openReferenceDevice();
  for (const unit of [expertUnit(tinyConfig(), 1, 2), ...layerUnits(tinyConfig({ qkNorm: 'head' }), 0)]) {
    const whole = device.floats(unit.paddedSize);
    t.is(device.run(initialise(unit, 7, whole)).error, null);
    for (const [first, length] of [
      [0, 5],
      [3, 60],
      [unit.size - 2, 10],
      [unit.size, 4],
    ] as const) {
      const slice = device.floats(length);
      t.is(device.run(initialise(unit, 7, slice, first)).error, null);
      t.deepEqual(device.read(slice), device.read(whole.subarray(first, first + length)));
    }
    t.true(device.read(whole.subarray(unit.size)).every((each) => each === 0));
  }
});

test('initialise: parameters and seeds have their own draws, within two standard deviations', (t) => {
  const device = openReferenceDevice();
  const unit = expertUnit(tinyConfig(), 0, 0);
  const drawn = (seed: number): HostFloats => {
    const out = device.floats(unit.size);
    device.run(initialise(unit, seed, out));
    return device.read(out);
  };
  const [one, other] = [drawn(7), drawn(8)];
  t.notDeepEqual(one, other);
  const [gate, up] = unit.parameters;
  t.notDeepEqual(one.slice(gate!.offset, gate!.size), one.slice(up!.offset, up!.offset + up!.size));
  t.true(gate!.init.kind === 'truncated-normal');
  const std = gate!.init.kind === 'truncated-normal' ? gate!.init.std : 0;
  const values = one.slice(gate!.offset, gate!.size);
  t.true(values.every((each) => Math.abs(each) <= 2 * std));
  t.true(values.some((each) => Math.abs(each) > std));
});
