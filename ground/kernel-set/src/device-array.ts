import type { Dtype, HostArray } from '@troupe/core';

/**
 * Element types of device memory. `f32` is the device's own float: f32, or f64 on the reference body when it is the oracle
 * (`DeviceInfo.dtype`).
 */
export type ElementType = Exclude<Dtype, 'f64'>;

declare const element: unique symbol;

/**
 * Memory of a device, opaque to everything above a body: a length, and views of its parts. Its contents are read and written by the
 * device alone (`Device.read`, `write`, `zero`, `upload`), and by kernels.
 */
export interface DeviceArray<E extends ElementType = ElementType> {
  /** Elements. */
  readonly length: number;
  /** Elements [from, to) of the same memory; nothing is copied. Bounds as in JavaScript's typed arrays. */
  subarray(from?: number, to?: number): DeviceArray<E>;
  /** In no array at run time: what keeps arrays of different elements, and host arrays, apart. */
  readonly [element]: E;
}

/** Floating-point numbers on a device. */
export type Floats = DeviceArray<'f32'>;
/** bf16 on a device: the upper halves of f32. */
export type Halves = DeviceArray<'bf16'>;
export type Ints = DeviceArray<'i32'>;
export type Int64s = DeviceArray<'i64'>;
export type Bytes = DeviceArray<'u8'>;

/** The element type of device memory, or that host memory has on a device. */
export type ElementOf<A extends HostArray | DeviceArray> =
  A extends DeviceArray<infer E>
    ? E
    : A extends HostArray<'f32'>
      ? 'f32'
      : A extends HostArray<'bf16'>
        ? 'bf16'
        : A extends HostArray<'i32'>
          ? 'i32'
          : A extends HostArray<'i64'>
            ? 'i64'
            : 'u8';

/** What may be written to elements of a type: integers of 64 bits are bigints, all others numbers, which are rounded to the element. */
export type Writable<E extends ElementType> = E extends 'i64' ? BigInt64Array : ArrayLike<number>;
