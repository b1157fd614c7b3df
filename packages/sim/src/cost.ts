import { callCost, type KernelCall } from '@troupe/core';

/** Speed of a modelled device. */
export interface DeviceSpeed {
  /** Floating-point operations a millisecond. Default 5e7 (50 GFLOP/s). */
  readonly flopsPerMs: number;
  /** Bytes that kernels read and write a millisecond. Default 1e7 (10 GB/s). */
  readonly bytesPerMs?: number;
  /** Fixed time of one submitted list, milliseconds. Default 0.06. */
  readonly launchMs: number;
}

const BYTES_PER_MS = 1e7;

export const defaultSpeed: DeviceSpeed = { flopsPerMs: 5e7, bytesPerMs: BYTES_PER_MS, launchMs: 0.06 };

/**
 * Modelled time of a list, milliseconds: each call takes what its arithmetic or its traffic takes, whichever is longer. Never a
 * measured time: the same list costs the same everywhere.
 */
export function listCostMs(calls: readonly KernelCall[], speed: DeviceSpeed): number {
  const { flopsPerMs, bytesPerMs = BYTES_PER_MS, launchMs } = speed;
  return calls.reduce((sum, call) => {
    const { flops, bytes } = callCost(call);
    return sum + Math.max(flops / flopsPerMs, bytes / bytesPerMs);
  }, launchMs);
}
