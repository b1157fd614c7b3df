import type { Device, DeviceArray, ExactSum, Floats, KernelCall } from '@troupe/kernel-set';
import type { Draw } from './draw.ts';
import type { LayoutShape } from './layout-shape.ts';

export type Result = DeviceArray<'f32' | 'i32' | 'i64'>;

/** One computation written twice: as a whole and cut up. Both must leave the same bits. */
export interface LayoutCase {
  readonly whole: readonly KernelCall[];
  readonly split: readonly KernelCall[];
  /** Pairs of results, of the whole and of the split. */
  readonly same: readonly (readonly [whole: Result, split: Result])[];
}

export type BuildLayout = (device: Device, draw: Draw, shape: LayoutShape) => LayoutCase;

/** Two results to compare, and the sums that hold the gradients. */
export const twoFloats = (device: Device, length: number): [Floats, Floats] => [
  device.floats(length),
  device.floats(length),
];
export const twoSums = (device: Device, length: number): [ExactSum, ExactSum] => [
  emptySum(device, length),
  emptySum(device, length),
];
const emptySum = (device: Device, length: number): ExactSum => ({
  values: device.int64s(length),
  overflow: device.ints(1),
});
