/** Element types that a frame or a checkpoint can hold. */
export type Dtype = 'f32' | 'bf16' | 'f64' | 'i32' | 'u8' | 'i64';

export type TensorArray = Float32Array | Float64Array | Uint16Array | Int32Array | Uint8Array | BigInt64Array;

/** bf16 storage: the upper halves of f32. */
export type Halves = Uint16Array;

/** Floating-point storage: f32 on devices that train, f64 for the reference body when it is the oracle. */
export type Floats = Float32Array | Float64Array;

export const dtypeBytes: Readonly<Record<Dtype, number>> = { f32: 4, bf16: 2, f64: 8, i32: 4, u8: 1, i64: 8 };

export function dtypeOf(array: TensorArray): Dtype {
  if (array instanceof Float32Array) return 'f32';
  if (array instanceof Float64Array) return 'f64';
  if (array instanceof Uint16Array) return 'bf16';
  if (array instanceof Int32Array) return 'i32';
  if (array instanceof BigInt64Array) return 'i64';
  return 'u8';
}
