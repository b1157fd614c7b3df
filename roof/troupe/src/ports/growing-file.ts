import { closeSync, fstatSync, fsync, openSync, writeSync } from 'node:fs';
import { StorageFailedError, type GrowingFile } from '@troupe/core';
import { storageError } from './storage-error.ts';

/**
 * Opens a file of this machine to add to it.
 *
 * It is written inside the call, not by a thread: who ends the process at once has lost nothing, and a chunk is a few hundred bytes. An
 * fsync takes as long as the disk does, so that one runs on a thread.
 *
 * @param name - as messages call it
 */
export function openGrowingFile(name: string, path: string): GrowingFile {
  const attempt = <T>(act: () => T): T => {
    try {
      return act();
    } catch (error) {
      throw storageError(name, error);
    }
  };
  let handle: number | null = attempt(() => openSync(path, 'a'));
  let synced: Promise<unknown> = Promise.resolve();
  const openedBytes = attempt(() => fstatSync(handle as number).size);
  return {
    openedBytes,
    append: (chunk) =>
      attempt(() => {
        if (handle === null) throw new StorageFailedError(name, 'is already closed');
        for (let at = 0; at < chunk.byteLength;) at += writeSync(handle, chunk, at, chunk.byteLength - at);
      }),
    sync: () => {
      const open = handle;
      if (open === null) return Promise.reject(new StorageFailedError(name, 'is already closed'));
      const syncing = new Promise<void>((resolve, reject) =>
        fsync(open, (error) => (error === null ? resolve() : reject(storageError(name, error)))),
      );
      // Nobody else may get the number of the file before.
      synced = Promise.allSettled([synced, syncing]);
      return syncing;
    },
    close: async () => {
      const open = handle;
      handle = null;
      await synced;
      if (open !== null) closeSync(open);
    },
  };
}
