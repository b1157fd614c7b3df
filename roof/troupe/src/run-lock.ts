import type { FolderLock, SharedStorage, Storage } from '@troupe/core';

/**
 * Takes the lock of the folder that a run's checkpoints go to; null where no other process can write, or where the caller holds it.
 *
 * @param lost - called when another process took over; the run may write no more
 * @throws {RunLockedError} TROUPE_RUN_LOCKED
 */
export async function lockOf(
  checkpoints: {
    readonly storage?: Storage | SharedStorage;
    readonly folder: string;
    readonly lock?: FolderLock;
  } | null,
  lost: () => void,
): Promise<FolderLock | null> {
  const { storage, folder = '', lock } = checkpoints ?? {};
  if (lock !== undefined || storage === undefined || !('lock' in storage)) return null;
  await storage.makeFolder(folder);
  return storage.lock(folder, lost);
}
