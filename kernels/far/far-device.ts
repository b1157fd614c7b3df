import { assert, type HostArray, type TroupeError } from '@troupe/core';
import type { Completion, Device, DeviceArray, ElementType, KernelCall } from '@troupe/kernel-set';
import { KernelShapeError } from '../errors.ts';
import type { FloatType } from '../reference/float-type.ts';
import { openReferenceDevice } from '../reference/reference-device.ts';
import { FarMemory } from './far-memory.ts';
import { QueuedMemory } from './queued-memory.ts';

/** How often memory was copied between host and device, and how much. */
export interface Copies {
  readonly count: number;
  readonly bytes: number;
}

/** A device whose memory no other code can reach, as that of an accelerator, and which counts what is copied. */
export interface FarDevice extends Device {
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

/**
 * A body of which the memory is put out of reach. Numbers and times are those of the body below. What is read, written and brought in is
 * copied, so that nobody can live on a view by accident; what a queued list names must not be written (DEV-1).
 */
class Far implements FarDevice {
  readonly info: Device['info'];
  readonly #body: Device;
  readonly #memory = new FarMemory();
  readonly #queued = new QueuedMemory();
  #reads = none;
  #writes = none;

  constructor(body: Device) {
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

  write: Device['write'] = (array, values) => {
    const behind = this.#writable(array);
    this.#body.write(behind, values);
    this.#writes = more(this.#writes, this.#body.read(behind.subarray(0, values.length)));
  };

  zero(array: DeviceArray): void {
    this.#body.zero(this.#writable(array));
  }

  upload = ((values: HostArray | DeviceArray): DeviceArray =>
    this.#memory.holds(values) ? values : this.#bring(values)) as Device['upload'];

  submit(calls: readonly KernelCall[], done: (completion: Completion) => void): void {
    const named: HostArray[] = [];
    let error: TroupeError | null = null;
    const behind = calls.map((call) =>
      this.#memory.behindAll(call, call?.op, (path, array) => {
        if (array === null)
          error ??= new KernelShapeError(`${path} is memory of the host, expected an array of the device`);
        else named.push(this.#body.read(array));
      }),
    ) as readonly KernelCall[];
    const completed = this.#queued.add(named);
    this.#body.submit(error === null ? behind : [], (completion) => {
      completed();
      done(error === null ? completion : { ...completion, error });
    });
  }

  close(): Promise<void> {
    return this.#body.close();
  }

  #bring(values: HostArray): DeviceArray {
    this.#writes = more(this.#writes, values);
    return this.#memory.handle(this.#body.upload(values.slice()));
  }

  #writable<E extends ElementType>(array: DeviceArray<E>): DeviceArray<E> {
    const behind = this.#memory.behind(array);
    assert(!this.#queued.holds(this.#body.read(behind)), 'what a queued list names is not written');
    return behind;
  }
}

/** Puts the memory of `body` out of reach. */
export const farDevice = (body: Device): FarDevice => new Far(body);

/**
 * Opens the reference body with its memory out of reach: what shows, without an accelerator, that nothing above a body depends on seeing
 * its memory.
 */
export const openFarDevice = (options: { readonly dtype?: FloatType } = {}): FarDevice =>
  farDevice(openReferenceDevice(options));
