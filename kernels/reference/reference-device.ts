import {
  asDeviceArray,
  hostMemory,
  onHost,
  type Bytes,
  type Completion,
  type DeviceInfo,
  type Floats,
  type Halves,
  type Int64s,
  type Ints,
  type KernelCall,
  type KernelOp,
  type SyncDevice,
} from '@troupe/kernel-set';
import { TroupeError } from '@troupe/core';
import { KernelFailedError, KernelShapeError } from '../errors.ts';
import { ArgumentCheck } from './argument-check.ts';
import type { FloatType } from './float-type.ts';
import type { Kernel } from './kernel.ts';
import { kernels } from './kernels.ts';

/** After this many milliseconds inside kernels the event loop gets a turn between two calls of a list. */
const SLICE_MS = 4;

interface Submission {
  readonly calls: readonly KernelCall[];
  readonly done: (completion: Completion) => void;
}

const kernelOf = (op: KernelCall['op']): Kernel<KernelCall> | undefined =>
  Object.hasOwn(kernels, op) ? kernels[op as KernelOp] : undefined;

function asTroupeError(error: unknown, op: string | undefined): TroupeError {
  if (error instanceof TroupeError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new KernelFailedError(`${op ?? 'a call'}: ${message}`, { cause: error });
}

/**
 * The reference body: plain loops on the JavaScript thread, always computed in float64, stored as f64 (the oracle
 * of every other body) or f32.
 */
class ReferenceDevice implements SyncDevice {
  readonly info: DeviceInfo;
  readonly read = hostMemory.read;
  readonly write = hostMemory.write;
  readonly zero = hostMemory.zero;
  readonly upload = hostMemory.upload;
  readonly #dtype: FloatType;
  readonly #queue: Submission[] = [];
  readonly #drained: (() => void)[] = [];
  #busy = false;
  #closed = false;

  constructor(dtype: FloatType) {
    this.#dtype = dtype;
    this.info = {
      body: 'reference',
      name: `reference ${dtype}`,
      reason: 'reference: asked for by name; it is the oracle, slow on purpose',
      threads: 1,
      dtype,
      layoutFree: false,
    };
  }

  floats(length: number): Floats {
    return asDeviceArray(this.#dtype === 'f64' ? new Float64Array(length) : new Float32Array(length));
  }

  halves(length: number): Halves {
    return asDeviceArray(new Uint16Array(length));
  }

  ints(length: number): Ints {
    return asDeviceArray(new Int32Array(length));
  }

  int64s(length: number): Int64s {
    return asDeviceArray(new BigInt64Array(length));
  }

  bytes(length: number): Bytes {
    return asDeviceArray(new Uint8Array(length));
  }

  submit(calls: readonly KernelCall[], done: (completion: Completion) => void): void {
    if (this.#closed) {
      setImmediate(() => done({ error: closedError(), kernelMs: 0 }));
      return;
    }
    this.#queue.push({ calls, done });
    this.#start();
  }

  run(calls: readonly KernelCall[]): Completion {
    if (this.#closed) return { error: closedError(), kernelMs: 0 };
    const start = performance.now();
    let error = this.#check(calls);
    for (let i = 0; i < calls.length && error === null; i++) error = this.#runOne(calls[i]!);
    return { error, kernelMs: performance.now() - start };
  }

  close(): Promise<void> {
    this.#closed = true;
    if (!this.#busy) return Promise.resolve();
    return new Promise((resolve) => this.#drained.push(resolve));
  }

  #start(): void {
    if (this.#busy) return;
    this.#busy = true;
    setImmediate(() => this.#next());
  }

  #next(): void {
    const submission = this.#queue.shift();
    if (submission === undefined) {
      this.#busy = false;
      for (const resolve of this.#drained.splice(0)) resolve();
      return;
    }
    const start = performance.now();
    const error = this.#check(submission.calls);
    this.#proceed(submission, 0, error, performance.now() - start);
  }

  /** Runs calls from `index` on until the slice is over, then goes on in another turn of the event loop. */
  #proceed(submission: Submission, index: number, error: TroupeError | null, spentMs: number): void {
    const start = performance.now();
    let elapsedMs = 0;
    let at = index;
    let found = error;
    while (at < submission.calls.length && found === null && elapsedMs < SLICE_MS) {
      found = this.#runOne(submission.calls[at]!);
      at += 1;
      elapsedMs = performance.now() - start;
    }
    const kernelMs = spentMs + elapsedMs;
    if (at < submission.calls.length && found === null) {
      setImmediate(() => this.#proceed(submission, at, null, kernelMs));
      return;
    }
    // Scheduled first: an exception of the callback belongs to its owner and must not stop the queue.
    setImmediate(() => this.#next());
    submission.done({ error: found, kernelMs });
  }

  #check(calls: readonly KernelCall[]): TroupeError | null {
    for (const call of calls) {
      const kernel = kernelOf(call?.op);
      if (kernel === undefined) return new KernelShapeError(`${call?.op} is no operation of the kernel set`);
      try {
        kernel.check(onHost(call), new ArgumentCheck(call.op, this.#dtype));
      } catch (thrown) {
        return asTroupeError(thrown, call.op);
      }
    }
    return null;
  }

  #runOne(call: KernelCall): TroupeError | null {
    try {
      kernelOf(call.op)?.run(onHost(call), this.#dtype);
      return null;
    } catch (thrown) {
      return asTroupeError(thrown, call.op);
    }
  }
}

const closedError = (): TroupeError => new KernelFailedError('the device is closed');

/**
 * Opens the reference body.
 *
 * @param options.dtype - how floats are stored; `f64` (default) is the oracle, `f32` stores what other bodies would
 */
export function openReferenceDevice(options: { readonly dtype?: FloatType } = {}): SyncDevice {
  return new ReferenceDevice(options.dtype ?? 'f64');
}
