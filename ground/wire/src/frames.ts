import { dtypeBytes, dtypeOf, type Dtype, type TensorArray } from '@troupe/core';
import { WireFormatError } from './errors.ts';

/** Element type and shape of one frame, as the header lists it. */
export interface FrameSpec {
  readonly dtype: Dtype;
  readonly shape: readonly number[];
}

const constructors = {
  f32: Float32Array,
  bf16: Uint16Array,
  f64: Float64Array,
  i32: Int32Array,
  u8: Uint8Array,
  i64: BigInt64Array,
} as const;

export const isDtype = (name: unknown): name is Dtype =>
  typeof name === 'string' && Object.hasOwn(constructors, name);

/** The bytes of a tensor, not copied: whoever changes the tensor before the packet is taken changes the packet. */
export const tensorBytes = (tensor: TensorArray): Uint8Array =>
  new Uint8Array(tensor.buffer, tensor.byteOffset, tensor.byteLength);

/** @throws {WireFormatError} TROUPE_WIRE_FORMAT when the shape does not hold the tensor's elements */
export function frameSpec(tensor: TensorArray, shape: readonly number[] | undefined): FrameSpec {
  const spec: FrameSpec = { dtype: dtypeOf(tensor), shape: shape ?? [tensor.length] };
  checkLength(spec, tensor.byteLength);
  return spec;
}

/**
 * The tensor of a frame: a view where the frame is aligned for its dtype, a copy where it is not.
 *
 * @throws {WireFormatError} TROUPE_WIRE_FORMAT when shape and length disagree
 */
export function frameTensor(spec: FrameSpec, frame: Uint8Array): TensorArray {
  checkLength(spec, frame.byteLength);
  const bytes = dtypeBytes[spec.dtype];
  const aligned = frame.byteOffset % bytes === 0 ? frame : new Uint8Array(frame);
  const buffer = aligned.buffer as ArrayBuffer;
  return new constructors[spec.dtype](buffer, aligned.byteOffset, aligned.byteLength / bytes);
}

function checkLength(spec: FrameSpec, foundBytes: number): void {
  const expectedBytes = spec.shape.reduce((product, dim) => product * dim, dtypeBytes[spec.dtype]);
  if (foundBytes === expectedBytes) return;
  throw new WireFormatError(
    `a frame has ${foundBytes} bytes, ${expectedBytes} expected for ${spec.dtype} of shape (${spec.shape.join(', ')})`,
    { foundBytes, expectedBytes, dtype: spec.dtype, shape: spec.shape },
  );
}
