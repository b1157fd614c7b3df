import { InvariantError } from '@troupe/core';
import type { Device, DeviceArray, ElementType } from '@troupe/kernel-set';

/** Memory that is not there: a length, and whether it would be of bf16. */
class Counted {
  readonly length: number;
  readonly isHalves: boolean;

  constructor(length: number, isHalves: boolean) {
    this.length = length;
    this.isHalves = isHalves;
  }

  subarray(from = 0, to = this.length): Counted {
    return new Counted(to - from, this.isHalves);
  }
}

/** Of an empty part only the kind can be asked. */
function kindOf(array: Counted): Uint16Array | Float32Array {
  if (array.length > 0) computes();
  return array.isHalves ? new Uint16Array(0) : new Float32Array(0);
}

function computes(): never {
  throw new InvariantError('a device that only counts computes nothing');
}

/**
 * Bytes that `allocate` takes on the device that it is given, which counts and holds nothing: a stage's own code is shown to it, so that a
 * plan needs no second list of its buffers. What is uploaded lies in host memory already and is not counted.
 */
export function bytesAllocated(allocate: (device: Device) => void): number {
  let bytes = 0;
  const taker =
    <E extends ElementType>(each: number) =>
    (length: number): DeviceArray<E> => {
      bytes += length * each;
      return new Counted(length, each === 2) as unknown as DeviceArray<E>;
    };
  allocate({
    info: {
      body: 'reference',
      name: 'counting',
      reason: 'a plan allocates nothing',
      threads: 1,
      dtype: 'f32',
      layoutFree: false,
    },
    floats: taker<'f32'>(4),
    halves: taker<'bf16'>(2),
    ints: taker<'i32'>(4),
    int64s: taker<'i64'>(8),
    bytes: taker<'u8'>(1),
    read: ((array: unknown) => kindOf(array as Counted)) as Device['read'],
    submit: computes,
    write: () => {},
    zero: () => {},
    upload: ((values) => values) as Device['upload'],
    close: async () => {},
  });
  return bytes;
}
