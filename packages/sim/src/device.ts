import type { Device, KernelCall, SyncDevice } from '@troupe/core';
import { defaultSpeed, listCostMs, type DeviceSpeed } from './cost.ts';
import type { SimProcess } from './process.ts';

/** A modelled device, and what can be done to it. */
export interface SimDevice extends Device {
  /** The next backward kernels find a non-finite gradient leaf, once. */
  poison(): void;
}

/**
 * A device with real arithmetic and modelled time: kernels run synchronously in queue order, completions arrive at the virtual time at
 * which the modelled device would be done.
 */
export function simDevice(
  body: SyncDevice,
  process: SimProcess,
  now: () => number,
  speed: DeviceSpeed = defaultSpeed,
): SimDevice {
  let busyUntilMs = 0;
  let isPoisoned = false;
  const poisonSums = (calls: readonly KernelCall[]): void => {
    for (const call of calls) {
      for (const key of ['weightSum', 'sum', 'tableSum'] as const) {
        const sum: unknown = (call as unknown as Readonly<Record<string, unknown>>)[key];
        if (call.op.includes('backward') && isExactSum(sum)) {
          // What a kernel does that meets a NaN.
          sum.overflow[0] = 1;
          isPoisoned = false;
        }
      }
    }
  };
  return {
    info: { ...body.info, name: `simulated ${body.info.name}` },
    floats: (length) => body.floats(length),
    ints: (length) => body.ints(length),
    int64s: (length) => body.int64s(length),
    bytes: (length) => body.bytes(length),
    close: () => body.close(),
    poison: () => {
      isPoisoned = true;
    },
    submit: (calls, done) => {
      const costMs = listCostMs(calls, speed) * process.slowness;
      busyUntilMs = Math.max(busyUntilMs, now()) + costMs;
      process.after(busyUntilMs - now(), () => {
        const { error } = body.run(calls);
        if (isPoisoned) poisonSums(calls);
        done({ error, kernelMs: costMs });
      });
    },
  };
}

const isExactSum = (value: unknown): value is { readonly overflow: Int32Array } =>
  typeof value === 'object' && value !== null && 'overflow' in value;
