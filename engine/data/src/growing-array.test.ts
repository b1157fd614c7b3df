import test from 'ava';
import { GrowingArray } from './growing-array.ts';

const PART = 1 << 19;

test('GrowingArray: gives back what was put in, across its parts, and is empty afterwards', (t) => {
  const growing = new GrowingArray((length) => new Uint16Array(length));
  const values = Int32Array.from({ length: 3 * PART + 7 }, (_, i) => (i * 31) % 65_521);
  growing.append(values.subarray(0, PART - 3));
  growing.append(values.subarray(PART - 3, PART - 3));
  for (let i = PART - 3; i < PART + 5; i++) growing.push(values[i] ?? 0);
  growing.append(values.subarray(PART + 5));
  t.is(growing.length, values.length);
  const all = growing.finish();
  t.is(all.length, values.length);
  t.true(all.every((value, i) => value === values[i]));
  t.is(growing.length, 0);
  growing.push(9);
  t.deepEqual([...growing.finish()], [9]);
});
