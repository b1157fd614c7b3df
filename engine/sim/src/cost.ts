import { callCost, type KernelCall, type OnHost } from '@troupe/kernel-set';
import { slownessOf, type Slowness } from './slowness.ts';

/** A modelled device. */
export interface DeviceSpeed {
  /** Floating-point operations a millisecond that it reaches. Default 5e7 (50 GFLOP/s). */
  readonly flopsPerMs: number;
  /** Bytes a millisecond between it and its memory. Default 1e7 (10 GB/s). ∞: free. */
  readonly bytesPerMs: number;
  /** Fixed time of one submitted list, milliseconds. Default 0.06. */
  readonly launchMs: number;
  /** Fixed time of one call, milliseconds. Default 0. */
  readonly callMs: number;
  /** What it can hold; a larger allocation fails with TROUPE_DEVICE_MEMORY. Default ∞. */
  readonly memoryBytes: number;
  /** From a calibration; operations that it did not meet are as slow as their kin. Default: each takes the roofline's time. */
  readonly slowness?: Slowness;
}

export const defaultSpeed: DeviceSpeed = {
  flopsPerMs: 5e7,
  bytesPerMs: 1e7,
  launchMs: 0.06,
  callMs: 0,
  memoryBytes: Number.POSITIVE_INFINITY,
};

/** The time of a call that is bound by arithmetic or by traffic alone. */
export const rooflineMs = (
  { flops, bytes }: { readonly flops: number; readonly bytes: number },
  { flopsPerMs, bytesPerMs }: Pick<DeviceSpeed, 'flopsPerMs' | 'bytesPerMs'>,
): number => Math.max(flops / flopsPerMs, bytes / bytesPerMs);

/**
 * Modelled time of a list, milliseconds: each call takes as long as its arithmetic or its traffic, whichever is longer (the roofline).
 * Never a measured time: the same list costs the same everywhere.
 */
export function listCostMs(calls: readonly OnHost<KernelCall>[], speed: DeviceSpeed): number {
  const { slowness } = speed;
  const slow = (op: string): number => (slowness === undefined ? 1 : slownessOf(op, slowness));
  let ms = speed.launchMs;
  for (const call of calls) {
    const { flops, bytes } = callCost(call);
    ms += speed.callMs + rooflineMs({ flops, bytes }, speed) * slow(call.op);
  }
  return ms;
}
