import type { Completion, Device, KernelCall } from '@troupe/kernel-set';
import type { TestFn } from 'ava';

/** A device body under test. */
export interface ConformanceBody {
  /** Starts every test's title. */
  readonly name: string;
  readonly open: (options?: { readonly threads?: number }) => Device | Promise<Device>;
  readonly tolerance: Tolerance;
  /**
   * True for a body whose rows and grains do not influence each other, so that splits of a call give the same bits. Bodies
   * with `info.layoutFree` are also held to the FMA chain itself.
   */
  readonly bitwise: boolean;
  /** False for a body that refuses `precision: 'bf16'`. */
  readonly bf16: boolean;
  /** Other devices that must leave the same bits, such as the other instruction sets of the CPU. */
  readonly family?: readonly (() => Device | Promise<Device>)[];
  /** Multiply-adds of the list that the event loop must outlive: some tens of milliseconds on this body. */
  readonly longWork: number;
  /** Random cases per operation, and random layouts per computation. Default 40. */
  readonly numRuns?: number;
}

export const DEFAULT_RUNS = 40;

/** Seed of a property: fresh in every run and printed, so that a run can be repeated. */
export const freshSeed = (): number => Math.floor(Math.random() * 2 ** 31);

/** Largest difference allowed, as a share of the largest expected value of the array. */
export interface Tolerance {
  readonly forward: number;
  readonly gradient: number;
}

/** float32 against float64: a few roundings in outputs, longer chains in gradients. */
export const F32_TOLERANCE: Tolerance = { forward: 1e-5, gradient: 5e-5 };
/** Where a rounded number is rounded to bf16 for the next product, one that lies near a tie lands on its other neighbour: 2^-8 apart. */
export const BF16_TOLERANCE: Tolerance = { forward: 1e-2, gradient: 2e-2 };
/** Gradients pass through 2^-50 fixed point, 9e-16 a leaf. */
export const F64_TOLERANCE: Tolerance = { forward: 1e-9, gradient: 1e-9 };

export type Test = TestFn;

export const submit = (device: Device, calls: readonly KernelCall[]): Promise<Completion> =>
  new Promise((resolve) => device.submit(calls, resolve));

/** Runs a list that must succeed. */
export async function compute(device: Device, calls: readonly KernelCall[]): Promise<void> {
  const { error } = await submit(device, calls);
  if (error !== null) throw error;
}
