import { TroupeError, type ErrorDetails } from './errors.ts';

interface StorageErrorOptions {
  readonly details?: ErrorDetails;
  readonly cause?: unknown;
}

/** The disk, quota or file-size limit is reached; the same call may succeed once there is room. */
export class StorageFullError extends TroupeError {
  override readonly name = 'StorageFullError';
  constructor(path: string, options: StorageErrorOptions = {}) {
    super(
      'TROUPE_STORAGE_FULL',
      `no room left to write '${path}'; free space, raise the quota, then resume`,
      {
        ...options,
        retryable: true,
        details: { path, ...options.details },
      },
    );
  }
}

/** There is no file or folder of that name. */
export class StorageMissingError extends TroupeError {
  override readonly name = 'StorageMissingError';
  constructor(path: string, options: StorageErrorOptions = {}) {
    super('TROUPE_STORAGE_MISSING', `'${path}' does not exist`, {
      ...options,
      details: { path, ...options.details },
    });
  }
}

/** Not permitted: rights, a read-only file system, or a path that leaves the storage's root. */
export class StorageDeniedError extends TroupeError {
  override readonly name = 'StorageDeniedError';
  constructor(path: string, reason: string, options: StorageErrorOptions = {}) {
    super('TROUPE_STORAGE_DENIED', `access to '${path}' is denied: ${reason}`, {
      ...options,
      details: { path, reason, ...options.details },
    });
  }
}

/** Any other failure of a storage call. */
export class StorageFailedError extends TroupeError {
  override readonly name = 'StorageFailedError';
  constructor(path: string, reason: string, options: StorageErrorOptions = {}) {
    super('TROUPE_STORAGE_FAILED', `'${path}': ${reason}`, {
      ...options,
      details: { path, reason, ...options.details },
    });
  }
}
