/** Arrays of a device that hold given numbers. */
import type { Bytes, Device, Floats, Halves, Int64s, Ints } from '@troupe/kernel-set';
import { bf16Bits } from '../reference/bf16.ts';

export function floatsOf(device: Device, values: ArrayLike<number>): Floats {
  const array = device.floats(values.length);
  device.write(array, values);
  return array;
}

/** Numbers rounded to bf16. */
export function halvesOf(device: Device, values: ArrayLike<number>): Halves {
  const array = device.halves(values.length);
  device.write(array, Array.from(values, bf16Bits));
  return array;
}

export function intsOf(device: Device, values: ArrayLike<number>): Ints {
  const array = device.ints(values.length);
  device.write(array, values);
  return array;
}

/** Element i is `value(i)`. */
export const intsBy = (device: Device, length: number, value: (index: number) => number): Ints =>
  intsOf(
    device,
    Array.from({ length }, (_, index) => value(index)),
  );

export function int64sOf(device: Device, values: Iterable<bigint>): Int64s {
  const all = BigInt64Array.from(values);
  const array = device.int64s(all.length);
  device.write(array, all);
  return array;
}

export function bytesOf(device: Device, values: ArrayLike<number>): Bytes {
  const array = device.bytes(values.length);
  device.write(array, values);
  return array;
}
