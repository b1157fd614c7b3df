import test from 'ava';
import type { HostFloats } from '@troupe/core';
import { openReferenceDevice } from '@troupe/kernels';
import {
  blocksOfPart,
  denseUnits,
  expertUnit,
  expertUnits,
  layerUnits,
  segmentsOf,
  type Unit,
} from '@troupe/spec';
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

test('initialise: a part of a tensor has the draws that the tensor has there', (t) => {
  const device = openReferenceDevice();
  const config = tinyConfig({ heads: 4, kvHeads: 2, headDim: 2 });
  const drawn = (unit: Unit): HostFloats => {
    const out = device.floats(unit.paddedSize);
    t.is(device.run(initialise(unit, 7, out)).error, null);
    return device.read(out);
  };
  const wholeOf = new Map(
    [...denseUnits(config), ...expertUnits(config, 1)].flatMap((unit) => {
      const values = drawn(unit);
      return unit.parameters.map(
        ({ name, offset, size }) => [name, values.slice(offset, offset + size)] as const,
      );
    }),
  );
  for (const rank of [0, 1]) {
    const held = segmentsOf({ tp: 2, segments: 1 }, rank);
    for (const unit of [...denseUnits(config, held), ...expertUnits(config, 1, held)]) {
      const values = drawn(unit);
      for (const parameter of unit.parameters) {
        const whole = wholeOf.get(parameter.name) ?? [];
        for (const block of blocksOfPart(parameter, { from: 0, to: parameter.size }))
          for (let row = 0; row < block.rows; row++) {
            const at = parameter.offset + block.at + row * block.rowLength;
            const first = block.firstIndex + row * block.rowStride;
            t.deepEqual(
              Array.from(values.slice(at, at + block.rowLength)),
              Array.from(whole.slice(first, first + block.rowLength)),
              parameter.name,
            );
          }
      }
    }
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
