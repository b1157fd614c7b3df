/** Element types that a frame or a checkpoint can hold. */
export type Dtype = 'f32' | 'bf16' | 'f64' | 'i32' | 'u8' | 'i64';

/** Floating-point numbers in the process's own memory: f32, or f64 where the reference body is the oracle. */
export type HostFloats = Float32Array | Float64Array;

interface HostArrays {
  readonly f32: HostFloats;
  /** The upper halves of f32. */
  readonly bf16: Uint16Array;
  readonly i32: Int32Array;
  readonly i64: BigInt64Array;
  readonly u8: Uint8Array;
}

/** Numbers in the process's own memory, by their element type on a device: what frames and checkpoints hold. */
export type HostArray<E extends keyof HostArrays = keyof HostArrays> = HostArrays[E];

export const dtypeBytes: Readonly<Record<Dtype, number>> = { f32: 4, bf16: 2, f64: 8, i32: 4, u8: 1, i64: 8 };

export function dtypeOf(array: HostArray): Dtype {
  if (array instanceof Float32Array) return 'f32';
  if (array instanceof Float64Array) return 'f64';
  if (array instanceof Uint16Array) return 'bf16';
  if (array instanceof Int32Array) return 'i32';
  if (array instanceof BigInt64Array) return 'i64';
  return 'u8';
}
