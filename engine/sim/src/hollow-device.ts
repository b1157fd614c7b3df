import type { HostArray } from '@troupe/core';
import {
  asDeviceArray,
  hollowFrame,
  hostMemory,
  onHost,
  type DeviceArray,
  type ElementType,
  type KernelCall,
  type SyncDevice,
} from '@troupe/kernel-set';
import { InvariantError } from '@troupe/core';
import { ArrayTooLargeError } from './errors.ts';
import { hollow, HollowArray } from './hollow-array.ts';
import { RoutedRows, type ExpertLoad } from './routed-rows.ts';

/** Integers up to this length hold what a call writes: counts that sizes follow from. */
const REAL_INTS = 1 << 12;

/** Storage grows to twice what is asked for, up to this many bytes. */
const DOUBLED = 2 ** 30;

/** Storage of zeros that all frames share: pages that nobody touches cost no memory. */
class Zeros {
  #buffer = new ArrayBuffer(0);

  take(bytes: number): ArrayBuffer {
    if (this.#buffer.byteLength < bytes) this.#buffer = new ArrayBuffer(bytes < DOUBLED ? 2 * bytes : bytes);
    return this.#buffer;
  }
}

/** Frames with a length and zeros in them: writing is forgotten, copies are views. */
class HollowFloats extends Float32Array {
  get [hollowFrame](): true {
    return true;
  }
  override set(): void {}
  override fill(): this {
    return this;
  }
  override slice(from?: number, to?: number): this {
    return this.subarray(from, to) as this;
  }
}

class HollowHalves extends Uint16Array {
  get [hollowFrame](): true {
    return true;
  }
  override set(): void {}
  override fill(): this {
    return this;
  }
  override slice(from?: number, to?: number): this {
    return this.subarray(from, to) as this;
  }
}

class HollowInts extends Int32Array {
  get [hollowFrame](): true {
    return true;
  }
  override set(): void {}
  override fill(): this {
    return this;
  }
  override slice(from?: number, to?: number): this {
    return this.subarray(from, to) as this;
  }
}

class HollowInt64s extends BigInt64Array {
  get [hollowFrame](): true {
    return true;
  }
  override set(): void {}
  override fill(): this {
    return this;
  }
  override slice(from?: number, to?: number): this {
    return this.subarray(from, to) as this;
  }
}

/** @throws {ArrayTooLargeError} TROUPE_DEVICE_MEMORY where the engine says RangeError */
function sized<T>(bytes: number, make: () => T): T {
  try {
    return make();
  } catch (error) {
    throw error instanceof RangeError ? new ArrayTooLargeError(bytes, error) : error;
  }
}

const frames = {
  f32: HollowFloats,
  bf16: HollowHalves,
  i32: HollowInts,
  i64: HollowInt64s,
  u8: Uint8Array,
} as const satisfies Readonly<Record<ElementType, unknown>>;

/**
 * A device without arithmetic: arrays have lengths and no contents, so they may be as long as those of any device; calls run at once and
 * compute nothing. Routing is even, or as a load says. What is left is the protocol, its sizes, and modelled times: for thousands of actors.
 *
 * All frames of one device share one block of zeros; open one device for all workers. Nothing may be concluded from any value.
 *
 * @param load - rows of every expert, to route in their proportions
 */
export function openHollowDevice(load: ExpertLoad | null = null): SyncDevice {
  const zeros = new Zeros();
  const rows = new RoutedRows(load);
  const made =
    <E extends ElementType>(element: E) =>
    (length: number): DeviceArray<E> =>
      new HollowArray(element, length) as unknown as DeviceArray<E>;
  const frameOf = ({ element, length, byteLength }: HollowArray): HostArray =>
    sized(byteLength, () => new frames[element](zeros.take(byteLength), 0, length));
  const run = (calls: readonly KernelCall[]): { readonly error: null; readonly kernelMs: number } => {
    for (const call of calls) if (call.op === 'route.plan') rows.plan(call);
    return { error: null, kernelMs: 0 };
  };
  return {
    info: {
      body: 'reference',
      name: 'shapes only',
      reason: 'no arithmetic was asked for',
      threads: 1,
      dtype: 'f32',
      layoutFree: false,
    },
    floats: made('f32'),
    halves: made('bf16'),
    ints: (length) => (length <= REAL_INTS ? asDeviceArray(new Int32Array(length)) : made('i32')(length)),
    int64s: made('i64'),
    bytes: made('u8'),
    read: (array) => {
      const empty = hollow(array);
      return (empty === null ? onHost(array) : (empty.held ?? frameOf(empty))) as never;
    },
    write: (array, values) => {
      if (hollow(array) === null) hostMemory.write(array, values);
    },
    zero: (array) => {
      if (hollow(array) === null) hostMemory.zero(array);
    },
    upload: hostMemory.upload,
    close: async () => {},
    run,
    submit: () => {
      throw new InvariantError('a hollow device runs inside the call');
    },
  };
}
