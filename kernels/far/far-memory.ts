import { assert, InvariantError } from '@troupe/core';
import type { DeviceArray, ElementType } from '@troupe/kernel-set';

/** What an array of a far device shows of itself. */
const shown: ReadonlySet<string | symbol> = new Set(['length', 'subarray']);

const refuse = (what: string): never => {
  throw new InvariantError(
    `${what} an array of a device, whose memory only the device and its kernels can reach`,
  );
};

/** Everything but the two members above is out of reach, reflection included. */
const guard: ProxyHandler<object> = {
  get: (array, name): unknown =>
    shown.has(name) ? Reflect.get(array, name) : refuse(`'${String(name)}' was read of`),
  set: (_, name) => refuse(`'${String(name)}' was set on`),
  has: (_, name) => refuse(`'${String(name)}' was looked for in`),
  deleteProperty: (_, name) => refuse(`'${String(name)}' was deleted from`),
  defineProperty: (_, name) => refuse(`'${String(name)}' was defined on`),
  getOwnPropertyDescriptor: (_, name) => refuse(`'${String(name)}' was described of`),
  ownKeys: () => refuse('the members were listed of'),
  getPrototypeOf: () => refuse('the class was asked of'),
};

/** The memory of one far device. To others an array is a handle: a length, and nothing that leads to what lies behind it. */
export class FarMemory {
  readonly #behind = new WeakMap<object, DeviceArray>();

  handle<E extends ElementType>(behind: DeviceArray<E>): DeviceArray<E> {
    const array = {
      length: behind.length,
      subarray: (from?: number, to?: number) => this.handle(behind.subarray(from, to)),
    };
    const handle = new Proxy(array, guard);
    this.#behind.set(handle, behind);
    return handle as unknown as DeviceArray<E>;
  }

  /** Whether it is an array of this memory. */
  holds(value: object): value is DeviceArray {
    return this.#behind.has(value);
  }

  behind<E extends ElementType>(array: DeviceArray<E>): DeviceArray<E> {
    const behind = this.#behind.get(array);
    assert(behind, 'a device is given arrays of its own');
    return behind as DeviceArray<E>;
  }

  /**
   * A kernel call, or a part of one, over what lies behind its arrays.
   *
   * @param see - called for every array; with null in place of what lies behind where it is memory of the host
   */
  behindAll(value: unknown, path: string, see: (path: string, behind: DeviceArray | null) => void): unknown {
    if (typeof value !== 'object' || value === null) return value;
    const isHost = ArrayBuffer.isView(value);
    if (isHost || this.holds(value)) {
      const behind = isHost ? null : this.behind(value);
      see(path, behind);
      return behind;
    }
    if (Array.isArray(value))
      return value.map((item, index) => this.behindAll(item, `${path}[${index}]`, see));
    return Object.fromEntries(
      Object.entries(value).map(([name, inner]) => [name, this.behindAll(inner, `${path}.${name}`, see)]),
    );
  }
}
