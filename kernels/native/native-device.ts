import {
  asDeviceArray,
  hostMemory,
  type Bytes,
  type Completion,
  type DeviceInfo,
  type Floats,
  type Halves,
  type Int64s,
  type Ints,
  type KernelCall,
  type Precision,
  type SyncDevice,
} from '@troupe/kernel-set';
import { InvariantError, type HostArray, type TroupeError } from '@troupe/core';
import {
  DeviceUnavailableError,
  KernelFailedError,
  KernelMemoryError,
  KernelRangeError,
  KernelShapeError,
} from '../errors.ts';
import { loadAddon, type NativeAddon, type NativeQueue } from './addon.ts';

/** `auto` takes the best that this CPU runs; the others exist for tests and for measuring. All give the same bits. */
export type NativeIsa = 'auto' | 'avx512bf16' | 'avx512' | 'avx2' | 'neon' | 'portable';

export interface NativeDeviceOptions {
  /** Threads that share the work of one kernel, the queue's own among them; at least 1. */
  readonly threads: number;
  readonly isa?: NativeIsa;
}

function errorOf(code: string, message: string): TroupeError | null {
  switch (code) {
    case '':
      return null;
    case 'TROUPE_KERNEL_SHAPE':
      return new KernelShapeError(message);
    case 'TROUPE_KERNEL_RANGE':
      return new KernelRangeError(message);
    case 'TROUPE_INVARIANT':
      return new InvariantError(message);
    default:
      return new KernelFailedError(message);
  }
}

const closedError = (): KernelFailedError => new KernelFailedError('the device is closed; open another one');

/** The CPU through C++: a thread of its own for the queue, a pool of threads for each kernel. Holds KER-1 … KER-5. */
class NativeDevice implements SyncDevice {
  readonly info: DeviceInfo;
  readonly read = hostMemory.read;
  readonly write = hostMemory.write;
  readonly zero = hostMemory.zero;
  readonly upload = hostMemory.upload;
  readonly #addon: NativeAddon;
  readonly #queue: NativeQueue;
  #outstanding = 0;
  #closed = false;
  #timesCalls = false;
  #drained: (() => void) | undefined;

  constructor(addon: NativeAddon, options: NativeDeviceOptions) {
    this.#addon = addon;
    this.#queue = new addon.NativeQueue(options.threads, options.isa ?? 'auto');
    const { isa } = this.#queue;
    this.info = {
      body: 'native',
      name: `native ${isa}, ${options.threads} ${options.threads === 1 ? 'thread' : 'threads'}`,
      reason:
        options.isa === undefined || options.isa === 'auto'
          ? `${isa} is the best instruction set that this CPU and build share`
          : `${isa} was asked for`,
      threads: options.threads,
      dtype: 'f32',
      layoutFree: true,
    };
  }

  floats(length: number): Floats {
    return asDeviceArray(new Float32Array(this.#allocate(length * 4)));
  }

  halves(length: number): Halves {
    return asDeviceArray(new Uint16Array(this.#allocate(length * 2)));
  }

  ints(length: number): Ints {
    return asDeviceArray(new Int32Array(this.#allocate(length * 4)));
  }

  int64s(length: number): Int64s {
    return asDeviceArray(new BigInt64Array(this.#allocate(length * 8)));
  }

  bytes(length: number): Bytes {
    return asDeviceArray(new Uint8Array(this.#allocate(length)));
  }

  #allocate(bytes: number): ArrayBuffer {
    try {
      return this.#addon.allocate(bytes);
    } catch (error) {
      throw new KernelMemoryError(bytes, error);
    }
  }

  submit(calls: readonly KernelCall[], done: (completion: Completion) => void): void {
    if (this.#closed) {
      queueMicrotask(() => done({ error: closedError(), kernelMs: 0 }));
      return;
    }
    this.#outstanding++;
    this.#queue.submit(calls, this.#timesCalls, (code, message, kernelMs, callTimes) => {
      this.#outstanding--;
      if (this.#outstanding === 0) this.#drained?.();
      done({
        error: errorOf(code, message),
        kernelMs,
        ...(callTimes === undefined ? {} : { callTimes }),
      });
    });
  }

  timeCalls(on: boolean): void {
    this.#timesCalls = on;
  }

  run(calls: readonly KernelCall[]): Completion {
    if (this.#closed) return { error: closedError(), kernelMs: 0 };
    const [code, message, kernelMs] = this.#queue.run(calls);
    return { error: errorOf(code, message), kernelMs };
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#outstanding > 0) {
      await new Promise<void>((resolve) => {
        this.#drained = resolve;
      });
    }
    this.#queue.stop();
  }
}

/**
 * Whether {@link openNativeDevice} would work here, and in one sentence why not.
 */
export function nativeAvailability(): { readonly available: boolean; readonly reason: string } {
  const loaded = loadAddon();
  return 'addon' in loaded
    ? { available: true, reason: 'the native addon is built and loads' }
    : { available: false, reason: loaded.reason };
}

/**
 * Opens a queue of native kernels with a pool of threads of its own.
 *
 * Several may be open at a time; each has its threads, so their sum should not exceed the cores. An open device does not keep the
 * process alive; outstanding work does.
 *
 * @throws {DeviceUnavailableError} TROUPE_DEVICE_UNAVAILABLE when the addon is not built or lacks `isa` on this CPU
 */
export function openNativeDevice(options: NativeDeviceOptions): SyncDevice {
  const loaded = loadAddon();
  if (!('addon' in loaded)) throw new DeviceUnavailableError(loaded.reason);
  try {
    return new NativeDevice(loaded.addon, options);
  } catch (error) {
    throw new DeviceUnavailableError(error instanceof Error ? error.message : String(error), {
      cause: error,
    });
  }
}

/** The instruction sets that this CPU and build share, best first; none without the addon. */
export function nativeIsas(): readonly NativeIsa[] {
  const names = ['avx512bf16', 'avx512', 'avx2', 'neon', 'portable'] as const;
  return names.filter((isa) => {
    try {
      void openNativeDevice({ threads: 1, isa }).close();
      return true;
    } catch {
      return false;
    }
  });
}

/**
 * Frees the memory of arrays that nobody reads any more, instead of at V8's next collection. An array that is part of a larger
 * buffer is left alone, and so is everything without the addon.
 */
export function releaseArrays(arrays: readonly HostArray[]): void {
  const loaded = loadAddon();
  if (!('addon' in loaded)) return;
  for (const { buffer, byteLength } of arrays)
    if (byteLength === buffer.byteLength) loaded.addon.release(buffer);
}

/** Above frames of 1 MiB, which are many and small enough to be used again. */
const LARGE_FRAME_BYTES = 1.5 * 2 ** 20;

/**
 * From now on the memory of large frames goes back to the system when they are freed, instead of staying with this process for the next
 * ones: what it saves in memory it costs in pages, about 0.2 s a GB. Nothing changes without the addon, or where malloc is not glibc's.
 */
export function freeLargeFrames(): void {
  const loaded = loadAddon();
  if ('addon' in loaded) loaded.addon.freeAtOnce?.(LARGE_FRAME_BYTES);
}

/** CRC-32 of bytes, as zlib's; null without the addon, and where the CPU has no instructions for it. */
export function nativeCrc32(): ((bytes: Uint8Array) => number) | null {
  const loaded = loadAddon();
  if (!('addon' in loaded) || loaded.addon.crc32 === undefined) return null;
  const { addon } = loaded;
  return (bytes) => addon.crc32!(bytes);
}

/**
 * Floating-point operations per second of `threads` threads together, on registers only: the denominator of utilisation. f32: FMAs;
 * bf16: the units for pairs where the CPU has them, else FMAs, which is what emulated pairs are made of.
 * Median of seven; blocks the calling thread for about 0.3 s.
 */
export function measurePeak(threads: number, precision: Precision = 'f32'): number {
  const loaded = loadAddon();
  if (!('addon' in loaded)) throw new DeviceUnavailableError(loaded.reason);
  return loaded.addon.measurePeak(threads, precision === 'bf16');
}

/** Bytes per second, read plus written, of `threads` threads copying 64 MiB blocks. Median of seven; blocks the calling thread. */
export function measureBandwidth(threads: number): number {
  const loaded = loadAddon();
  if (!('addon' in loaded)) throw new DeviceUnavailableError(loaded.reason);
  return loaded.addon.measureBandwidth(threads);
}
