import {
  onHost,
  withoutQueue,
  type Device,
  type GradientTarget,
  type KernelCall,
  type SyncDevice,
} from '@troupe/kernel-set';
import { defaultSpeed, listCostMs, type DeviceSpeed } from './cost.ts';
import { DeviceMemoryError } from './errors.ts';
import type { SimProcess } from './process.ts';

/** A modelled device, and what can be done to it. */
export interface SimDevice extends Device {
  /** The next backward kernels find a non-finite gradient leaf, once. */
  poison(): void;
  readonly usedBytes: number;
}

/**
 * A device with the arithmetic of another body and modelled time: kernels run synchronously in queue order, completions arrive at the
 * virtual time at which the modelled device would be done.
 *
 * Memory is what was ever allocated; nothing is known to be freed.
 */
export function simDevice(
  body: SyncDevice,
  process: SimProcess,
  now: () => number,
  speed: DeviceSpeed = defaultSpeed,
): SimDevice {
  let busyUntilMs = 0;
  let isPoisoned = false;
  let usedBytes = 0;
  const poisonGradients = (calls: readonly KernelCall[]): void => {
    for (const call of calls) {
      if (!call.op.includes('backward')) continue;
      for (const value of Object.values(call) as readonly unknown[]) {
        if (!isGradient(value)) continue;
        // What a kernel does that meets a NaN.
        body.write(value.overflow, [1]);
        isPoisoned = false;
      }
    }
  };
  const allocate = <A>(bytes: number, make: () => A): A => {
    if (usedBytes + bytes > speed.memoryBytes)
      throw new DeviceMemoryError(process.node, bytes, usedBytes, speed.memoryBytes);
    usedBytes += bytes;
    return make();
  };
  const floatBytes = body.info.dtype === 'f64' ? 8 : 4;
  return {
    ...withoutQueue(body),
    info: { ...body.info, name: `simulated ${body.info.name}` },
    floats: (length) => allocate(floatBytes * length, () => body.floats(length)),
    halves: (length) => allocate(2 * length, () => body.halves(length)),
    ints: (length) => allocate(4 * length, () => body.ints(length)),
    int64s: (length) => allocate(8 * length, () => body.int64s(length)),
    bytes: (length) => allocate(length, () => body.bytes(length)),
    poison: () => {
      isPoisoned = true;
    },
    get usedBytes() {
      return usedBytes;
    },
    submit: (calls, done) => {
      const costMs = listCostMs(onHost(calls), speed) * process.slowness;
      busyUntilMs = Math.max(busyUntilMs, now()) + costMs;
      process.after(busyUntilMs - now(), () => {
        const { error } = body.run(calls);
        if (isPoisoned) poisonGradients(calls);
        done({ error, kernelMs: costMs });
      });
    },
  };
}

/** Where a kernel puts a gradient: added to a sum, or stored at once where all its leaves come from one call. */
const isGradient = (value: unknown): value is GradientTarget =>
  typeof value === 'object' && value !== null && 'overflow' in value;
