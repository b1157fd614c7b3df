import { dtypeBytes, dtypeOf, type Dtype, type HostArray } from '@troupe/core';
import { WireFormatError } from './errors.ts';

/** Element type and number of elements of one frame, as the header lists it. */
export interface FrameSpec {
  readonly dtype: Dtype;
  readonly length: number;
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

/** The bytes of a tensor, not copied: changing the tensor before the packet is taken changes the packet. */
export const tensorBytes = (tensor: HostArray): Uint8Array =>
  new Uint8Array(tensor.buffer, tensor.byteOffset, tensor.byteLength);

export const frameSpec = (tensor: HostArray): FrameSpec => ({
  dtype: dtypeOf(tensor),
  length: tensor.length,
});

/**
 * The tensor of a frame: a view where the frame is aligned for its dtype, a copy where it is not.
 *
 * @throws {WireFormatError} TROUPE_WIRE_FORMAT when the frame has another length than announced
 */
export function frameTensor({ dtype, length }: FrameSpec, frame: Uint8Array): HostArray {
  const bytes = dtypeBytes[dtype];
  const [foundBytes, expectedBytes] = [frame.byteLength, length * bytes];
  if (foundBytes !== expectedBytes)
    throw new WireFormatError(
      `a frame has ${foundBytes} bytes, ${expectedBytes} expected for ${length} elements of ${dtype}`,
      { foundBytes, expectedBytes, dtype, length },
    );
  const aligned = frame.byteOffset % bytes === 0 ? frame : new Uint8Array(frame);
  const buffer = aligned.buffer as ArrayBuffer;
  return new constructors[dtype](buffer, aligned.byteOffset, length);
}
