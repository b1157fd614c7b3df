import { TroupeError } from '@troupe/core';

/** A fault plan crashed this actor. */
export class SimulationCrashError extends TroupeError {
  override readonly name = 'SimulationCrashError';
  constructor(address: string) {
    super('TROUPE_SIM_CRASH', `${address} was crashed by the fault plan`, {
      retryable: true,
      details: { address },
    });
  }
}

/** A modelled device has no room for an array. */
export class DeviceMemoryError extends TroupeError {
  override readonly name = 'DeviceMemoryError';
  constructor(node: string, wantedBytes: number, usedBytes: number, memoryBytes: number) {
    super(
      'TROUPE_DEVICE_MEMORY',
      `the device of ${node} has ${memoryBytes} bytes, ${usedBytes} in use, and ${wantedBytes} more are wanted; use more devices, a larger ep, or smaller microbatches`,
      { details: { node, wantedBytes, usedBytes, memoryBytes } },
    );
  }
}
