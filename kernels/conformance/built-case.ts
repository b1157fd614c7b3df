import {
  GRADIENT_QUANTUM_LOG2,
  LOSS_QUANTUM_LOG2,
  type Device,
  type DeviceArray,
  type GradientTarget,
  type Int64s,
  type KernelCall,
  type KernelOp,
} from '@troupe/kernel-set';
import { wideNumber } from '@troupe/core';
import * as fc from 'fast-check';
import type { Draw } from './draw.ts';

/** exact: equal integers; loss and forward: the body's forward tolerance; gradient: its gradient tolerance. */
export type OutputKind = 'exact' | 'forward' | 'gradient';

export interface Output {
  readonly name: string;
  readonly kind: OutputKind;
  /** What it holds now, on the device that the case was built for. */
  readonly read: (device: Device) => ArrayLike<number>;
}

/** A list whose last call is the operation under test, and where its results will lie. */
export interface BuiltCase {
  readonly calls: readonly KernelCall[];
  readonly outputs: readonly Output[];
}

export interface ShapedCase {
  readonly shape: unknown;
  readonly build: (device: Device, draw: Draw) => BuiltCase;
}

/** Cases of one operation: random shapes, and how a shape becomes calls. */
export type OpCases = fc.Arbitrary<ShapedCase>;

export function opCases<S>(
  shape: fc.Arbitrary<S>,
  build: (device: Device, draw: Draw, shape: S) => BuiltCase,
): OpCases {
  return shape.map((drawn) => ({ shape: drawn, build: (device, draw) => build(device, draw, drawn) }));
}

/** Sizes that are multiples of no block: 0 … max, small ones often. */
export const sizes = (least: number, most: number): fc.Arbitrary<number> =>
  fc.oneof(fc.integer({ min: least, max: Math.min(least + 3, most) }), fc.integer({ min: least, max: most }));

export const output = (name: string, kind: OutputKind, array: DeviceArray<'f32' | 'i32'>): Output => ({
  name,
  kind,
  read: (device) => device.read(array),
});

/** Integers of 64 bits, two numbers each. */
export const int64Output = (name: string, array: Int64s): Output => ({
  name,
  kind: 'exact',
  read: (device) =>
    Array.from(device.read(array), (value) => [
      Number(value >> 32n),
      Number(BigInt.asUintN(32, value)),
    ]).flat(),
});

export const targetOutput = (name: string, target: GradientTarget): Output => ({
  name,
  kind: 'gradient',
  read: (device) =>
    'gradient' in target
      ? device.read(target.gradient)
      : Float64Array.from(device.read(target.values), (value) => Number(value) * 2 ** GRADIENT_QUANTUM_LOG2),
});

export const overflowOutput = ({ overflow }: GradientTarget): Output => output('overflow', 'exact', overflow);

export const lossOutput = (name: string, sums: Int64s): Output => ({
  name,
  kind: 'forward',
  read: (device) =>
    Float64Array.from({ length: sums.length / 2 }, (_, at) =>
      wideNumber(device.read(sums), LOSS_QUANTUM_LOG2, at),
    ),
});

export type CaseTable = { readonly [O in KernelOp]: OpCases };
