import { createRequire } from 'node:module';
import { Worker } from 'node:worker_threads';
import {
  asDeviceArray,
  hostMemory,
  onHost,
  type Bytes,
  type Completion,
  type Device,
  type DeviceInfo,
  type Floats,
  type Halves,
  type Int64s,
  type Ints,
  type KernelCall,
} from '@troupe/kernel-set';
import type { TroupeError } from '@troupe/core';
import { DeviceUnavailableError, KernelFailedError, KernelRangeError, KernelShapeError } from '../errors.ts';
import { bf16Refused } from './bf16-refused.ts';
import type { FromWorker, PlainError, ToWorker, WorkerOptions } from './messages.ts';
import { SharedList } from './shared-list.ts';
import { builtTensorflowFolder, setTensorflowEnvironment } from './tensorflow-environment.ts';

export interface TfjsDeviceOptions {
  /** Of TensorFlow's own pool; wasm and cpu compute on one. Run more devices to use more cores. */
  readonly threads?: number;
  /** `auto` (default): the first of tfjs-node-gpu, tfjs-node, wasm, cpu that starts. */
  readonly backend?: WorkerOptions['backend'];
  /** Folder of a TensorFlow; default: that of `npm run setup:tensorflow`. */
  readonly tensorflowFolder?: string;
}

interface Submission {
  readonly list: SharedList;
  readonly done: (completion: Completion) => void;
}

const PACKAGES = ['@tensorflow/tfjs-core', '@tensorflow/tfjs-backend-wasm', '@tensorflow/tfjs-backend-cpu'];

function errorOf({ code, message, details }: PlainError): TroupeError {
  switch (code) {
    case 'TROUPE_KERNEL_SHAPE':
      return new KernelShapeError(message, details);
    case 'TROUPE_KERNEL_RANGE':
      return new KernelRangeError(message, details);
    case 'TROUPE_NOT_BUILT':
      return bf16Refused();
    default:
      return new KernelFailedError(message, { details });
  }
}

const closedError = (): KernelFailedError => new KernelFailedError('the device is closed; open another one');

/**
 * TensorFlow.js in a worker thread. Lists go there at once and run in order; only one that reads a private array which a
 * list before it still writes waits, since its copy must be the new one.
 */
class TfjsDevice implements Device {
  readonly info: DeviceInfo;
  readonly read = hostMemory.read;
  readonly write = hostMemory.write;
  readonly zero = hostMemory.zero;
  readonly upload = hostMemory.upload;
  readonly #worker: Worker;
  readonly #waiting: Submission[] = [];
  readonly #running: Submission[] = [];
  readonly #ended: Promise<void>;
  #closed = false;
  #broken: KernelFailedError | null = null;
  #drained: (() => void) | undefined;

  constructor(worker: Worker, info: DeviceInfo) {
    this.#worker = worker;
    this.info = info;
    worker.on('message', (message: FromWorker) => this.#receive(message));
    worker.on('error', (cause) => this.#break(`the worker thread failed: ${cause.message}`, cause));
    this.#ended = new Promise((resolve) => {
      worker.once('exit', () => {
        this.#break('the worker thread has ended');
        resolve();
      });
    });
    worker.unref();
  }

  floats(length: number): Floats {
    return asDeviceArray(new Float32Array(new SharedArrayBuffer(length * 4)));
  }

  halves(length: number): Halves {
    return asDeviceArray(new Uint16Array(new SharedArrayBuffer(length * 2)));
  }

  ints(length: number): Ints {
    return asDeviceArray(new Int32Array(new SharedArrayBuffer(length * 4)));
  }

  int64s(length: number): Int64s {
    return asDeviceArray(new BigInt64Array(new SharedArrayBuffer(length * 8)));
  }

  bytes(length: number): Bytes {
    return asDeviceArray(new Uint8Array(new SharedArrayBuffer(length)));
  }

  submit(calls: readonly KernelCall[], done: (completion: Completion) => void): void {
    const refusal = this.#closed ? closedError() : this.#broken;
    if (refusal !== null) {
      setImmediate(() => done({ error: refusal, kernelMs: 0 }));
      return;
    }
    if (this.#running.length === 0) this.#worker.ref();
    this.#waiting.push({ list: new SharedList(onHost(calls)), done });
    this.#send();
  }

  async close(): Promise<void> {
    if (!this.#closed) {
      this.#closed = true;
      if (this.#running.length > 0) await new Promise<void>((resolve) => (this.#drained = resolve));
      this.#worker.ref();
      if (this.#broken === null) this.#post({ kind: 'thread.end' });
    }
    await this.#ended;
  }

  /** Sends as many lists as may go; with none under way the first one always may. */
  #send(): void {
    for (;;) {
      const next = this.#waiting[0];
      if (next === undefined) return;
      const touched = [...next.list.touched.keys()];
      if (this.#running.some(({ list }) => touched.some((buffer) => list.written.has(buffer)))) return;
      this.#waiting.shift();
      this.#running.push(next);
      try {
        this.#post({ kind: 'list.run', calls: next.list.prepare() });
      } catch (error) {
        const message = `the list cannot be sent: ${error instanceof Error ? error.message : String(error)}`;
        this.#post({ kind: 'list.refuse', message });
      }
    }
  }

  #post(message: ToWorker): void {
    this.#worker.postMessage(message, []);
  }

  #receive(message: FromWorker): void {
    if (message.kind !== 'list.completed') return;
    const first = this.#running.shift();
    if (first === undefined) return;
    first.list.finish();
    this.#send();
    if (this.#running.length === 0) {
      this.#worker.unref();
      this.#drained?.();
    }
    first.done({ error: message.error && errorOf(message.error), kernelMs: message.kernelMs });
  }

  /** The thread is gone: everything outstanding completes with the reason, later. */
  #break(message: string, cause?: unknown): void {
    if (this.#broken !== null) return;
    const error = new KernelFailedError(message, { cause });
    this.#broken = error;
    const outstanding = [...this.#running.splice(0), ...this.#waiting.splice(0)];
    for (const { done } of outstanding) setImmediate(() => done({ error, kernelMs: 0 }));
    this.#drained?.();
  }
}

/** What the thread says once its backend is open, or is not. */
function firstMessage(worker: Worker): Promise<FromWorker> {
  return new Promise((resolve, reject) => {
    const settle = (): void => {
      worker.off('error', fail);
      worker.off('exit', fail);
    };
    const fail = (cause: unknown): void => {
      settle();
      reject(
        new DeviceUnavailableError('the TensorFlow.js worker thread ended before it was ready', { cause }),
      );
    };
    worker.once('error', fail);
    worker.once('exit', fail);
    worker.once('message', (message: FromWorker) => {
      settle();
      resolve(message);
    });
  });
}

/** Whether TensorFlow.js is installed; whether its backend starts is known only once a device is opened. */
export async function tfjsAvailability(): Promise<{ readonly available: boolean; readonly reason: string }> {
  const require = createRequire(import.meta.url);
  const missing = PACKAGES.filter((name) => {
    try {
      require.resolve(name);
      return false;
    } catch {
      return true;
    }
  });
  if (missing.length > 0) return { available: false, reason: `not installed: ${missing.join(', ')}` };
  return { available: true, reason: 'TensorFlow.js is installed' };
}

/**
 * Opens TensorFlow.js in a worker thread of its own: TensorFlow where it is installed, else wasm, else cpu; `info.reason` says which and why.
 *
 * An open device does not keep the process alive; outstanding work does.
 *
 * @throws {DeviceUnavailableError} TROUPE_DEVICE_UNAVAILABLE when no backend starts
 */
export async function openTfjsDevice({
  threads = 1,
  backend = 'auto',
  tensorflowFolder = builtTensorflowFolder(),
}: TfjsDeviceOptions = {}): Promise<Device> {
  const workerData: WorkerOptions = { backend, tensorflowFolder };
  const processThreads = setTensorflowEnvironment(threads);
  // Compiled code: this module runs from kernels/dist/tfjs, where the worker is JavaScript too.
  const worker = new Worker(new URL('./tfjs-worker.js', import.meta.url), {
    workerData,
    name: 'tfjs',
    // The process's own flags may be ones that a thread refuses.
    execArgv: [],
  });
  const opened = await firstMessage(worker);
  if (opened.kind !== 'backend.opened') {
    const reason = opened.kind === 'backend.failed' ? opened.reason : opened.kind;
    await worker.terminate();
    throw new DeviceUnavailableError(`no TensorFlow.js backend starts: ${reason}`, { details: { backend } });
  }
  const isNode = opened.backend === 'tfjs-node' || opened.backend === 'tfjs-node-gpu';
  const uses = isNode ? processThreads : 1;
  const more = uses === threads ? '' : `; of ${threads} threads asked for it uses ${uses}`;
  return new TfjsDevice(worker, {
    body: 'tfjs',
    name: `tfjs ${opened.name}`,
    reason: `${opened.reason}${more}`,
    threads: uses,
    dtype: 'f32',
    layoutFree: false,
  });
}
