import { randomUUID } from 'node:crypto';
import { storagePath, type Storage } from '@troupe/core';
import { fileStorage } from '../ports/file-storage.ts';

/** Where the lead has left a mark that is new with every layout, and what is in it. */
export interface MarkedDisk {
  /** Root of the storage on the lead's disk. */
  readonly root: string;
  /** Of the run's checkpoints, inside it. */
  readonly folder: string;
  readonly mark: string;
}

/** In the folder of the checkpoints, as long as the run goes on. */
const MARK_FILE = '.disk';

const markPath = (folder: string): string =>
  storagePath(folder === '' ? MARK_FILE : `${folder}/${MARK_FILE}`);

/** Leaves a mark by which machines know whether they see this disk. */
export async function markDisk(
  storage: Storage,
  { root, folder }: Pick<MarkedDisk, 'root' | 'folder'>,
): Promise<MarkedDisk> {
  const mark = randomUUID();
  await storage.makeFolder(storagePath(folder));
  await storage.writeAtomic(markPath(folder), new TextEncoder().encode(mark));
  return { root, folder, mark };
}

/** Takes it away. */
export const unmarkDisk = (storage: Storage, { folder }: MarkedDisk): Promise<void> =>
  storage.remove(markPath(folder));

/**
 * Whether this machine finds that very mark under the same path, and may write there: a folder of the same name proves nothing, and a
 * disk that it only reads keeps no part of a checkpoint.
 */
export async function seesDisk(
  { root, folder, mark }: MarkedDisk,
  storage: Storage = fileStorage(root),
): Promise<boolean> {
  const own = storagePath(`${markPath(folder)}-${randomUUID()}`);
  try {
    if (new TextDecoder().decode(await storage.read(markPath(folder))) !== mark) return false;
    await storage.writeAtomic(own, new TextEncoder().encode(mark));
    await storage.remove(own);
    return true;
  } catch {
    return false;
  }
}
