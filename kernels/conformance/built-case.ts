import {
  GRADIENT_QUANTUM_LOG2,
  LOSS_QUANTUM_LOG2,
  wideNumber,
  type Device,
  type GradientTarget,
  type KernelCall,
  type KernelOp,
} from '@troupe/core';
import * as fc from 'fast-check';
import type { Draw } from './draw.ts';

/** exact: equal integers; loss and forward: the body's forward tolerance; gradient: its gradient tolerance. */
export type OutputKind = 'exact' | 'forward' | 'gradient';

export interface Output {
  readonly name: string;
  readonly kind: OutputKind;
  readonly read: () => ArrayLike<number>;
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

export const output = (name: string, kind: OutputKind, array: ArrayLike<number>): Output => ({
  name,
  kind,
  read: () => array,
});

export const targetOutput = (name: string, target: GradientTarget): Output => ({
  name,
  kind: 'gradient',
  read: () =>
    'gradient' in target
      ? target.gradient
      : Float64Array.from(target.values, (value) => Number(value) * 2 ** GRADIENT_QUANTUM_LOG2),
});

export const overflowOutput = ({ overflow }: GradientTarget): Output => output('overflow', 'exact', overflow);

export const lossOutput = (name: string, sums: BigInt64Array): Output => ({
  name,
  kind: 'forward',
  read: () =>
    Float64Array.from({ length: sums.length / 2 }, (_, at) => wideNumber(sums, LOSS_QUANTUM_LOG2, at)),
});

export type CaseTable = { readonly [O in KernelOp]: OpCases };
