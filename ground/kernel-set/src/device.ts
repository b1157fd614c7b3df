import type {
  Bytes,
  DeviceArray,
  ElementOf,
  ElementType,
  Floats,
  Halves,
  Int64s,
  Ints,
  Writable,
} from './device-array.ts';

import type { KernelCall } from './kernel-calls.ts';
import type { HostArray, TroupeError } from '@troupe/core';

export interface DeviceInfo {
  /** `native`, `tfjs` or `reference`. */
  readonly body: 'native' | 'tfjs' | 'reference';
  /** For people: `native avx512, 2 threads`. */
  readonly name: string;
  /** Why this body was chosen, in one sentence. */
  readonly reason: string;
  readonly threads: number;
  readonly dtype: 'f32' | 'f64';
  /** True when the body holds KER-1 … KER-4 bit for bit. */
  readonly layoutFree: boolean;
}

/** What became of one submitted list of calls. */
export interface Completion {
  /** TROUPE_KERNEL_SHAPE, TROUPE_KERNEL_RANGE, TROUPE_KERNEL_FAILED; null when every call ran. */
  readonly error: TroupeError | null;
  /** Time inside kernels, milliseconds; the queue's waiting time is not in it. */
  readonly kernelMs: number;
  /**
   * When each call ran, of a list that was submitted while `timeCalls` was on: 2 + 3·threads numbers a call, for those that ran.
   * Start and end of the call, then for each thread of the device its first start, its last end, and its time inside parallel
   * loops; zeros for a thread that took no part. Milliseconds of the machine's monotonic clock (what `process.hrtime` counts); the
   * third of a thread is a duration.
   */
  readonly callTimes?: Float64Array;
}

/**
 * Memory, and a queue of kernels, like a CUDA stream: lists run one after the other in the order of submission, and each
 * completion is delivered later, on the event loop, never inside `submit`.
 *
 * DEV-1: memory is the device's. Nobody above a body looks into an array; `read`, `write`, `zero` and `upload` are the only ways in and
 * out besides kernels, each at once and inside the call, and never of an array that a queued list names.
 */
export interface Device {
  readonly info: DeviceInfo;
  /** Zeroed storage of the device's own dtype, aligned to 64 bytes; lives until it is garbage. */
  floats(length: number): Floats;
  /** Storage of bf16 numbers, for calls with precision bf16. */
  halves(length: number): Halves;
  ints(length: number): Ints;
  int64s(length: number): Int64s;
  bytes(length: number): Bytes;
  /** What an array holds, to look at only: the memory itself where the process can see it, else a copy. Good until the next kernel or write. */
  read<E extends ElementType>(array: DeviceArray<E>): HostArray<E>;
  /** Puts `values` into the first elements of `array`, rounded to its element type. */
  write<E extends ElementType>(array: DeviceArray<E>, values: Writable<E>): void;
  /** Sets every element to 0. */
  zero(array: DeviceArray): void;
  /**
   * Host memory as an array of the device, such as a frame that arrived: the same memory where the device can see it, so the caller must
   * not change it afterwards. An array of this device comes back as it is.
   */
  upload<A extends HostArray | DeviceArray>(values: A): DeviceArray<ElementOf<A>>;
  /** Arguments are checked before anything runs: a wrong shape is a typed error of the completion, never a crash. */
  submit(calls: readonly KernelCall[], done: (completion: Completion) => void): void;
  /** From the next submission on, completions carry the times of their calls, or no longer. Absent: this body knows whole lists only. */
  timeCalls?(on: boolean): void;
  /** Waits for the queue to drain, then stops the device's threads. Later submissions complete with an error. */
  close(): Promise<void>;
}

/** All of a device but its queue: what a device that queues otherwise takes over from the one below it. */
export const withoutQueue = (device: Device): Omit<Device, 'submit' | 'timeCalls'> => ({
  info: device.info,
  floats: (length) => device.floats(length),
  halves: (length) => device.halves(length),
  ints: (length) => device.ints(length),
  int64s: (length) => device.int64s(length),
  bytes: (length) => device.bytes(length),
  read: (array) => device.read(array),
  write: (array, values) => device.write(array, values),
  zero: (array) => device.zero(array),
  upload: (values) => device.upload(values),
  close: () => device.close(),
});

/** A device whose kernels can also run inside the call: what a simulation needs, which owns all order. */
export interface SyncDevice extends Device {
  run(calls: readonly KernelCall[]): Completion;
}
