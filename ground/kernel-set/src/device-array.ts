import type { Dtype, HostArray } from '@troupe/core';

/**
 * Element types of device memory. `f32` is the device's own float: f32, or f64 on the reference body when it is the oracle
 * (`DeviceInfo.dtype`).
 */
export type ElementType = Exclude<Dtype, 'f64'>;

/**
 * Memory of a device, opaque to everything above a body: a length, and views of its parts. Its contents are read and written by the
 * device alone (`Device.read`, `write`, `zero`, `upload`), and by kernels. It is a typed array until the last of its users asks the device.
 */
export type DeviceArray<E extends ElementType = ElementType> = HostArray<E>;

/** Floating-point numbers on a device. */
export type Floats = DeviceArray<'f32'>;
/** bf16 on a device: the upper halves of f32. */
export type Halves = DeviceArray<'bf16'>;
export type Ints = DeviceArray<'i32'>;
export type Int64s = DeviceArray<'i64'>;
export type Bytes = DeviceArray<'u8'>;
