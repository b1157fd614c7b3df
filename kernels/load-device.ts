import { availableParallelism } from 'node:os';
import { shownValue } from '@troupe/core';
import { withoutQueue, type Device, type SyncDevice } from '@troupe/kernel-set';
import { DeviceUnavailableError } from './errors.ts';
import { openReferenceDevice } from './reference/reference-device.ts';

export interface LoadDeviceOptions {
  /** `auto` (default): native, else TensorFlow.js; the slow reference body only by name. */
  readonly body?: 'auto' | 'native' | 'tfjs' | 'reference';
  /** Threads of the body's own pool, ≥ 1; default: one for each core that this process may use. The reference body has one. */
  readonly threads?: number;
  /** How the reference body stores floats; other bodies are f32. Default `f64`. */
  readonly dtype?: 'f32' | 'f64';
}

interface Availability {
  readonly available: boolean;
  /** In one sentence: what there is, or why not. */
  readonly reason: string;
}

/** A body whose module is loaded only when it is wanted: a native addon or a library of some megabytes. */
interface LazyBody {
  readonly availability: () => Availability | Promise<Availability>;
  readonly open: (options: { readonly threads: number }) => Device | SyncDevice | Promise<Device>;
}

type BodyName = 'native' | 'tfjs';

const importBody: Readonly<Record<BodyName, () => Promise<LazyBody>>> = {
  native: async () => {
    const { nativeAvailability, openNativeDevice } = await import('./native/native-device.ts');
    return { availability: nativeAvailability, open: openNativeDevice };
  },
  tfjs: async () => {
    const { tfjsAvailability, openTfjsDevice } = await import('./tfjs/tfjs-device.ts');
    return { availability: tfjsAvailability, open: openTfjsDevice };
  },
};

const bodies: readonly string[] = ['auto', 'native', 'tfjs', 'reference'];

type Attempt =
  { readonly device: Device; readonly reason: string } | { readonly device: null; readonly reason: string };

async function attempt(name: BodyName, threads = availableParallelism()): Promise<Attempt> {
  try {
    const body = await importBody[name]();
    const { available, reason } = await body.availability();
    if (!available) return { device: null, reason };
    const device = await body.open({ threads });
    return { device, reason: device.info.reason };
  } catch (thrown) {
    return { device: null, reason: thrown instanceof Error ? thrown.message : String(thrown) };
  }
}

/** The same device, with the loader's reason in its info; a body that can run synchronously still can. */
function explained(device: Device | SyncDevice, reason: string): Device | SyncDevice {
  return {
    ...withoutQueue(device),
    ...('run' in device ? { run: (calls: Parameters<SyncDevice['run']>[0]) => device.run(calls) } : {}),
    ...(device.timeCalls === undefined ? {} : { timeCalls: (on: boolean) => device.timeCalls?.(on) }),
    info: { ...device.info, reason },
    submit: (calls, done) => device.submit(calls, done),
  };
}

/**
 * Opens a device body and says in `info.reason` which one and why.
 *
 * @throws {DeviceUnavailableError} TROUPE_DEVICE_UNAVAILABLE when the body asked for, or with `auto` every fast one, cannot
 *   be opened here; the message holds each body's reason
 */
export async function loadDevice({ body = 'auto', threads, dtype }: LoadDeviceOptions = {}): Promise<Device> {
  if (threads !== undefined && (!Number.isSafeInteger(threads) || threads < 1)) {
    throw new DeviceUnavailableError(`threads is ${threads}, expected an integer ≥ 1`, {
      details: { threads },
    });
  }
  if (!bodies.includes(body))
    throw new DeviceUnavailableError(`body is ${shownValue(body)}, expected one of ${bodies.join(', ')}`);
  if (body === 'reference') return openReferenceDevice(dtype === undefined ? {} : { dtype });
  if (body !== 'auto') {
    const { device, reason } = await attempt(body, threads);
    if (device === null) throw new DeviceUnavailableError(`${body}: ${reason}`, { details: { body } });
    return explained(device, `${body}: ${reason}; asked for by name`);
  }
  const native = await attempt('native', threads);
  if (native.device !== null)
    return explained(native.device, `native: ${native.reason}; chosen because it is the fastest body here`);
  const tfjs = await attempt('tfjs', threads);
  if (tfjs.device !== null)
    return explained(
      tfjs.device,
      `tfjs: ${tfjs.reason}; chosen because native is not available: ${native.reason}`,
    );
  throw new DeviceUnavailableError(
    `no fast device body can be opened: native: ${native.reason}; tfjs: ${tfjs.reason}; or ask for body reference`,
  );
}
