import type { HostArray } from '@troupe/core';
import type { Device, DeviceArray, ElementType, KernelCall } from '@troupe/kernel-set';

/** Memory that a recorded list names: its elements, as base64 of the bytes of the host's typed array. */
interface RecordedArray {
  readonly type: ElementType;
  readonly bytes: string;
}

/** A list of kernel calls as data: where a call names memory it has `{ array: index }`. */
export interface RecordedCase {
  readonly calls: readonly object[];
  readonly arrays: readonly RecordedArray[];
}

const hostKinds = {
  f32: Float32Array,
  bf16: Uint16Array,
  i32: Int32Array,
  i64: BigInt64Array,
  u8: Uint8Array,
} as const;

const typeOf = (array: HostArray): ElementType => {
  for (const type of Object.keys(hostKinds) as ElementType[])
    if (array instanceof hostKinds[type]) return type;
  throw new TypeError(`an array of ${array.constructor.name} cannot be recorded`);
};

/** Bytes of an array that a device has shown. */
export const bytesOfHost = (array: HostArray): Uint8Array =>
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength);

/**
 * Writes down a list before it runs.
 *
 * @param device - whose memory the list names, in f32
 */
export function recordCase(device: Device, calls: readonly KernelCall[]): RecordedCase {
  const indexOf = new Map<object, number>();
  const arrays: RecordedArray[] = [];
  const record = (value: unknown): unknown => {
    if (typeof value === 'number' && !Number.isFinite(value)) throw new RangeError(`a call has ${value}`);
    if (typeof value !== 'object' || value === null) return value;
    if (Array.isArray(value)) return value.map(record);
    if (!ArrayBuffer.isView(value))
      return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, record(part)]));
    const known = indexOf.get(value);
    if (known !== undefined) return { array: known };
    const host = device.read(value as unknown as DeviceArray);
    arrays.push({ type: typeOf(host), bytes: Buffer.from(bytesOfHost(host)).toString('base64') });
    indexOf.set(value, arrays.length - 1);
    return { array: arrays.length - 1 };
  };
  return { calls: calls.map((call) => record(call) as object), arrays };
}

/** The same list on another device, and its memory. */
export interface ReplayedCase {
  readonly calls: readonly KernelCall[];
  readonly arrays: readonly DeviceArray[];
}

export function replayCase(device: Device, recorded: RecordedCase): ReplayedCase {
  const arrays = recorded.arrays.map((array) => placed(device, array));
  const replay = (value: unknown): unknown => {
    if (typeof value !== 'object' || value === null) return value;
    if (Array.isArray(value)) return value.map(replay);
    if ('array' in value && typeof value.array === 'number') return arrays[value.array];
    return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, replay(part)]));
  };
  return { calls: recorded.calls.map((call) => replay(call) as KernelCall), arrays };
}

function placed(device: Device, { type, bytes }: RecordedArray): DeviceArray {
  // A copy of its own begins where every element may.
  const { buffer } = Uint8Array.from(Buffer.from(bytes, 'base64'));
  if (type === 'i64') {
    const values = new BigInt64Array(buffer);
    const array = device.int64s(values.length);
    device.write(array, values);
    return array;
  }
  const values = new hostKinds[type](buffer);
  const { length } = values;
  const array =
    type === 'f32'
      ? device.floats(length)
      : type === 'bf16'
        ? device.halves(length)
        : type === 'i32'
          ? device.ints(length)
          : device.bytes(length);
  device.write<'f32' | 'bf16' | 'i32' | 'u8'>(array, values);
  return array;
}
