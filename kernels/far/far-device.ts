import { TroupeError, type HostArray } from '@troupe/core';
import type { Completion, DeviceArray, ElementType, KernelCall, SyncDevice } from '@troupe/kernel-set';
import { KernelFailedError, KernelShapeError } from '../errors.ts';
import type { FloatType } from '../reference/float-type.ts';
import { openReferenceDevice } from '../reference/reference-device.ts';
import { FarMemory } from './far-memory.ts';

/** How often memory was copied between host and device, and how much. */
export interface Copies {
  readonly count: number;
  readonly bytes: number;
}

/** A device whose memory no other code can reach, as that of an accelerator, and which counts what is copied. */
export interface FarDevice extends SyncDevice {
  /** From the device to the host. */
  readonly reads: Copies;
  /** From the host to the device: `write` and `upload`. Zeroing is no copy. */
  readonly writes: Copies;
}

const none: Copies = { count: 0, bytes: 0 };
const more = ({ count, bytes }: Copies, { byteLength }: HostArray): Copies => ({
  count: count + 1,
  bytes: bytes + byteLength,
});

const misplaced = (path: string): never => {
  throw new KernelShapeError(`${path} is memory of the host, expected an array of the device`);
};

/**
 * A body of which the memory is put out of reach. Numbers and times are those of the body below. What is read, written and brought in is
 * copied, so that nobody can live on a view by accident.
 */
class Far implements FarDevice {
  readonly info: SyncDevice['info'];
  readonly #body: SyncDevice;
  readonly #memory = new FarMemory();
  #reads = none;
  #writes = none;

  constructor(body: SyncDevice) {
    this.#body = body;
    this.info = { ...body.info, name: `far ${body.info.name}` };
  }

  get reads(): Copies {
    return this.#reads;
  }

  get writes(): Copies {
    return this.#writes;
  }

  floats(length: number): DeviceArray<'f32'> {
    return this.#memory.handle(this.#body.floats(length));
  }

  halves(length: number): DeviceArray<'bf16'> {
    return this.#memory.handle(this.#body.halves(length));
  }

  ints(length: number): DeviceArray<'i32'> {
    return this.#memory.handle(this.#body.ints(length));
  }

  int64s(length: number): DeviceArray<'i64'> {
    return this.#memory.handle(this.#body.int64s(length));
  }

  bytes(length: number): DeviceArray<'u8'> {
    return this.#memory.handle(this.#body.bytes(length));
  }

  read<E extends ElementType>(array: DeviceArray<E>): HostArray<E> {
    const values = this.#body.read(this.#memory.behind(array)).slice() as HostArray<E>;
    this.#reads = more(this.#reads, values);
    return values;
  }

  write: SyncDevice['write'] = (array, values) => {
    const behind = this.#memory.behind(array);
    this.#body.write(behind, values);
    this.#writes = more(this.#writes, this.#body.read(behind.subarray(0, values.length)));
  };

  zero(array: DeviceArray): void {
    this.#body.zero(this.#memory.behind(array));
  }

  upload = ((values: HostArray | DeviceArray): DeviceArray =>
    this.#memory.holds(values) ? values : this.#bring(values)) as SyncDevice['upload'];

  submit(calls: readonly KernelCall[], done: (completion: Completion) => void): void {
    const behind = this.#behind(calls);
    if (behind instanceof TroupeError) this.#body.submit([], () => done({ error: behind, kernelMs: 0 }));
    else this.#body.submit(behind, done);
  }

  run(calls: readonly KernelCall[]): Completion {
    const behind = this.#behind(calls);
    return behind instanceof TroupeError ? { error: behind, kernelMs: 0 } : this.#body.run(behind);
  }

  close(): Promise<void> {
    return this.#body.close();
  }

  #bring(values: HostArray): DeviceArray {
    this.#writes = more(this.#writes, values);
    return this.#memory.handle(this.#body.upload(values.slice()));
  }

  #behind(calls: readonly KernelCall[]): readonly KernelCall[] | TroupeError {
    try {
      return calls.map((call) => this.#memory.behindAll(call, call?.op, misplaced) as KernelCall);
    } catch (error) {
      return error instanceof TroupeError
        ? error
        : new KernelFailedError('arguments could not be looked at', { cause: error });
    }
  }
}

/** Puts the memory of `body` out of reach. */
export const farDevice = (body: SyncDevice): FarDevice => new Far(body);

/**
 * Opens the reference body with its memory out of reach: what shows, without an accelerator, that nothing above a body depends on seeing
 * its memory.
 */
export const openFarDevice = (options: { readonly dtype?: FloatType } = {}): FarDevice =>
  farDevice(openReferenceDevice(options));
