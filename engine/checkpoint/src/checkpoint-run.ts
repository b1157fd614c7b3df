import { assert, type Storage } from '@troupe/core';
import { checkpointFolders, folderSuffix, inFolder, type CheckpointFolder } from './checkpoint-folders.ts';
import { openCheckpoint, type CheckpointReader, type OpenOptions } from './checkpoint-reader.ts';
import { CheckpointDamagedError } from './errors.ts';

/** A checkpoint that was passed over, and why. */
export interface DamagedCheckpoint {
  readonly folder: string;
  readonly error: CheckpointDamagedError;
}

async function foldersIn(storage: Storage, folder: string): Promise<readonly CheckpointFolder[]> {
  return (await storage.exists(folder)) ? checkpointFolders(await storage.list(folder)) : [];
}

/**
 * Opens the newest intact checkpoint of a run; the `latest` pointer is not asked, since a crash can leave it behind.
 *
 * @param folder - holds all checkpoints of the run; one that does not exist has none
 * @returns `checkpoint` null when there is no intact one; `damaged` names those that were passed over, newest first
 */
export async function latestCheckpoint(
  storage: Storage,
  folder: string,
  options: OpenOptions = {},
): Promise<{ readonly checkpoint: CheckpointReader | null; readonly damaged: readonly DamagedCheckpoint[] }> {
  const damaged: DamagedCheckpoint[] = [];
  for (const { name } of await foldersIn(storage, folder)) {
    const path = inFolder(folder, name);
    try {
      return { checkpoint: await openCheckpoint(storage, path, options), damaged };
    } catch (error) {
      if (!(error instanceof CheckpointDamagedError)) throw error;
      damaged.push({ folder: path, error });
    }
  }
  return { checkpoint: null, damaged };
}

/**
 * Keeps the newest `keep` checkpoints whose manifest, files, sizes and headers are intact, and removes what is older.
 *
 * Damaged ones among those kept stay where they are, for a person to look at. Each is renamed before it is removed,
 * so that a crash leaves no half checkpoint under a good name.
 *
 * @param keep - at least 1
 * @returns folders that were removed, newest first
 */
export async function pruneCheckpoints(
  storage: Storage,
  folder: string,
  keep: number,
  options: OpenOptions = {},
): Promise<readonly string[]> {
  assert(Number.isSafeInteger(keep) && keep >= 1, 'at least one checkpoint is kept', { keep });
  const removed: string[] = [];
  const keptSteps = new Set<number>();
  for (const { name, step, isReplaced } of await foldersIn(storage, folder)) {
    const path = inFolder(folder, name);
    const isSpare = isReplaced && keptSteps.has(step);
    if (keptSteps.size < keep && !isSpare) {
      if (await isIntact(storage, path, options)) keptSteps.add(step);
      continue;
    }
    const removing = path + folderSuffix.removing;
    await storage.remove(removing);
    await storage.rename(path, removing);
    await storage.syncFolder(folder);
    await storage.remove(removing);
    removed.push(path);
  }
  return removed;
}

async function isIntact(storage: Storage, path: string, options: OpenOptions): Promise<boolean> {
  try {
    const reader = await openCheckpoint(storage, path, { verify: 'lazy', ...options });
    await reader.close();
    return true;
  } catch (error) {
    if (error instanceof CheckpointDamagedError) return false;
    throw error;
  }
}
