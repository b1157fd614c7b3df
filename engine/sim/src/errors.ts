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

/** An array is longer than JavaScript or this machine's address space allows, even without contents. */
export class ArrayTooLargeError extends TroupeError {
  override readonly name = 'ArrayTooLargeError';
  constructor(bytes: number, cause: unknown) {
    super(
      'TROUPE_DEVICE_MEMORY',
      `an array of ${bytes} bytes is longer than this machine allows, even without contents; the longest hold the parameters of a device: use a smaller model.vocab or model.dModel, or a larger ep`,
      { details: { bytes }, cause },
    );
  }
}
