/** For bodies whose memory is the process's own: their device arrays *are* typed arrays, under a type that does not say so. */
import type { Device } from './device.ts';
import type { DeviceArray, ElementOf } from './device-array.ts';
import type { HostArray } from '@troupe/core';

/** A value, such as a kernel call, in which every device array is the typed array that it is on such a body. */
export type OnHost<T> =
  T extends DeviceArray<infer E> ? HostArray<E> : T extends object ? { [K in keyof T]: OnHost<T[K]> } : T;

/** The typed arrays in a value of such a body. Nothing happens at run time. */
export const onHost = <T>(value: T): OnHost<T> => value as OnHost<T>;

/** A typed array as memory of such a body. Nothing happens at run time. */
export const asDeviceArray = <A extends HostArray>(array: A): DeviceArray<ElementOf<A>> =>
  array as unknown as DeviceArray<ElementOf<A>>;

/** Access without copies: what `read` returns and what `upload` is given are the array itself. */
export const hostMemory: Pick<Device, 'read' | 'write' | 'zero' | 'upload'> = {
  read: onHost,
  write: (array, values) => (onHost(array) as { set(values: unknown): void }).set(values),
  zero: (array) => {
    const values: HostArray = onHost(array);
    if (values instanceof BigInt64Array) values.fill(0n);
    else values.fill(0);
  },
  upload: ((values) => values) as Device['upload'],
};
