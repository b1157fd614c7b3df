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

/** Mean square of what all G experts of a token add to it, weighed alike, at the start of a run. */
function outputVariance(granularity: number): number {
  const device = openReferenceDevice({ dtype: 'f64' });
  const [rows, dModel, dFf] = [96, 64, 256];
  const hidden = dFf / granularity;
  const moe = { experts: granularity, topK: granularity, dExpert: hidden };
  const ffn = { activation: 'relu', dFf } as const;
  const config = tinyConfig({ dModel, ffn, init: { scale: 0.1, embedding: 1 }, moe });
  const units = Array.from({ length: granularity }, (_, expert) => expertUnit(config, 0, expert));
  const expertStride = units[0]!.paddedSize;
  const weights = device.floats(granularity * expertStride);
  for (const [expert, unit] of units.entries()) {
    const place = weights.subarray(expert * expertStride, (expert + 1) * expertStride);
    succeed(device.run(initialise(unit, 7, place)).error);
  }
  const [x, y] = [device.floats(rows * dModel), device.floats(granularity * rows * dModel)];
  const key = [1, 2] as const;
  const counts_EG = device.upload(new Int32Array(granularity).fill(rows));
  const slots_N = device.upload(Int32Array.from({ length: granularity * rows }, (_, row) => row % rows));
  const source = { x_UD: x, slots_N, counts_EG, numGrains: 1, y_ND: y };
  const shape = { experts: granularity, dim: dModel, hidden, activation: 'relu', expertStride } as const;
  succeed(
    device.run([
      { op: 'fill', out: x, kind: 'normal', scale: 1, key, firstIndex: 0 },
      { op: 'experts.forward', ...shape, weights, sources: [source] },
    ]).error,
  );
  const values = device.read(y);
  let squares = 0;
  for (let i = 0; i < rows * dModel; i++) {
    let sum = 0;
    for (let expert = 0; expert < granularity; expert++) sum += values[expert * rows * dModel + i]!;
    squares += sum * sum;
  }
  return squares / (rows * dModel);
}

const succeed = (error: Error | null): void => {
  if (error !== null) throw error;
};

test('initialise: what the G experts of a token add has the same variance at every granularity', (t) => {
  // Of a normal cut at two deviations 0.7737 of the variance is left; relu keeps half of a square. arXiv:2402.07871, appendix A.
  const kept = 0.7737;
  const expected = (0.1 * kept * 0.1 * kept) / 2;
  for (const granularity of [1, 4, 16]) {
    const found = outputVariance(granularity);
    t.log(`G ${granularity}: ${found} of ${expected}`);
    t.true(Math.abs(found / expected - 1) < 0.15, `G ${granularity}: ${found}, expected ${expected}`);
  }
});
