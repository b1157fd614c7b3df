import { TroupeError, type ErrorDetails } from '@troupe/core';

/** An argument of a kernel call has the wrong length, type or number; found before anything of its list ran. */
export class KernelShapeError extends TroupeError {
  override readonly name = 'KernelShapeError';
  constructor(message: string, details: ErrorDetails = {}) {
    super('TROUPE_KERNEL_SHAPE', message, { details });
  }
}

/** A value inside an argument points outside of what it indexes: a token id, a choice, a row, a grain. */
export class KernelRangeError extends TroupeError {
  override readonly name = 'KernelRangeError';
  constructor(message: string, details: ErrorDetails = {}) {
    super('TROUPE_KERNEL_RANGE', message, { details });
  }
}

/** A kernel broke down for a reason that is not its arguments: out of memory, a closed device, a bug of the body. */
export class KernelFailedError extends TroupeError {
  override readonly name = 'KernelFailedError';
  constructor(message: string, options: { readonly details?: ErrorDetails; readonly cause?: unknown } = {}) {
    super('TROUPE_KERNEL_FAILED', message, options);
  }
}

/** This machine has no memory for an array of a device. */
export class KernelMemoryError extends TroupeError {
  override readonly name = 'KernelMemoryError';
  constructor(bytes: number, cause: unknown) {
    super(
      'TROUPE_DEVICE_MEMORY',
      `no memory for an array of ${bytes} bytes; use a smaller model or batch, or more devices`,
      { details: { bytes }, cause },
    );
  }
}

/** The device body that was asked for cannot be opened on this machine; the message says why. */
export class DeviceUnavailableError extends TroupeError {
  override readonly name = 'DeviceUnavailableError';
  constructor(message: string, options: { readonly details?: ErrorDetails; readonly cause?: unknown } = {}) {
    super('TROUPE_DEVICE_UNAVAILABLE', message, options);
  }
}
