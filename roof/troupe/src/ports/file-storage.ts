import { link, open, readdir, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import {
  parentFolder,
  StorageFailedError,
  StorageMissingError,
  storagePath,
  type PendingFile,
  type SharedStorage,
} from '@troupe/core';
import { check, rule } from '../option-rules.ts';
import { openGrowingFile } from './growing-file.ts';
import { makeFolders } from './make-folders.ts';
import { storageError } from './storage-error.ts';

/** Most bytes of one read call; Linux moves at most 2^31 - 4096 at once. */
const READ_BYTES_MAX = 1 << 30;

/** Files being written aside: `.NAME.PID-RANDOM.pending`, beside their final name, so that a rename stays in one file system. */
const pendingName = /^\..+\.\d+-\d+\.pending$/u;

async function attempt<T>(path: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    throw storageError(path, error);
  }
}

async function syncPath(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

interface PendingPaths {
  readonly aside: string;
  readonly final: string;
  /** Holds both. */
  readonly folder: string;
}

/** A file written under a name of its own and renamed on `commit`. */
class FileBeingWritten implements PendingFile {
  readonly #name: string;
  readonly #paths: PendingPaths;
  readonly #handle: FileHandle;
  #state: 'open' | 'torn' | 'closed' = 'open';

  constructor(name: string, paths: PendingPaths, handle: FileHandle) {
    this.#name = name;
    this.#paths = paths;
    this.#handle = handle;
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.#mustBeOpen();
    await attempt(this.#name, async () => {
      try {
        for (let at = 0; at < chunk.byteLength;) {
          const { bytesWritten } = await this.#handle.write(chunk, at, chunk.byteLength - at);
          at += bytesWritten;
        }
      } catch (error) {
        this.#state = 'torn';
        throw error;
      }
    });
  }

  async commit(): Promise<void> {
    this.#mustBeOpen();
    await attempt(this.#name, async () => {
      await this.#handle.sync();
      this.#state = 'closed';
      await this.#handle.close();
      await rename(this.#paths.aside, this.#paths.final);
      await syncPath(this.#paths.folder);
    });
  }

  /** Like {@link commit}, but a file that has the name keeps it: a second name of the same bytes is refused by the system itself. */
  async commitNew(): Promise<boolean> {
    this.#mustBeOpen();
    return attempt(this.#name, async () => {
      await this.#handle.sync();
      const isNew = await link(this.#paths.aside, this.#paths.final).then(
        () => true,
        (error: NodeJS.ErrnoException) => {
          if (error.code === 'EEXIST') return false;
          throw error;
        },
      );
      if (isNew) await syncPath(this.#paths.folder);
      return isNew;
    });
  }

  async abort(): Promise<void> {
    await attempt(this.#name, async () => {
      if (this.#state !== 'closed') {
        this.#state = 'closed';
        await this.#handle.close();
      }
      await rm(this.#paths.aside, { force: true });
    });
  }

  #mustBeOpen(): void {
    if (this.#state === 'open') return;
    const reason =
      this.#state === 'torn'
        ? 'an earlier write failed, so it cannot go on'
        : 'is already committed or aborted';
    throw new StorageFailedError(this.#name, reason);
  }
}

async function readRange(
  handle: FileHandle,
  name: string,
  offset: number,
  lengthBytes: number,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(lengthBytes);
  for (let at = 0; at < lengthBytes;) {
    const part = Math.min(lengthBytes - at, READ_BYTES_MAX);
    const { bytesRead } = await handle.read(bytes, at, part, offset + at);
    if (bytesRead === 0) {
      throw new StorageFailedError(name, `ends at byte ${offset + at}, before ${offset + lengthBytes}`);
    }
    at += bytesRead;
  }
  return bytes;
}

/**
 * Files of this machine under the folder `root`, which need not exist before `makeFolder('')`.
 *
 * A crash may leave files of an interrupted write behind; `list` hides them and they never have a final name.
 *
 * @param root - absolute, or relative to the working directory
 */
export function fileStorage(root: string): SharedStorage {
  check(
    'fileStorage',
    'root',
    root,
    rule('the path of a folder', (value) => typeof value === 'string'),
  );
  const at = (name: string): string => join(root, name);

  const create = async (path: string): Promise<FileBeingWritten> => {
    const name = storagePath(path);
    const folder = parentFolder(name);
    // Not a count: another storage of this process, or process 1 of another container, may write the same file.
    const asideName = `.${name.slice(folder === '' ? 0 : folder.length + 1)}.${process.pid}-${randomInt(2 ** 47)}.pending`;
    const aside = join(at(folder), asideName);
    return attempt(name, async () => {
      const isFolder = await stat(at(name)).then(
        (found) => found.isDirectory(),
        () => false,
      );
      if (isFolder) throw new StorageFailedError(name, 'is a folder');
      const handle = await open(aside, 'wx');
      return new FileBeingWritten(name, { aside, final: at(name), folder: at(folder) }, handle);
    });
  };

  return {
    create,
    async grow(path) {
      const name = storagePath(path);
      return openGrowingFile(name, at(name));
    },
    async writeAtomic(path, bytes) {
      const file = await create(path);
      try {
        await file.write(bytes);
        await file.commit();
      } catch (error) {
        await file.abort();
        throw error;
      }
    },
    async createExclusive(path, bytes) {
      const file = await create(path);
      try {
        await file.write(bytes);
        return await file.commitNew();
      } finally {
        await file.abort();
      }
    },
    async read(path, range) {
      const name = storagePath(path);
      return attempt(name, async () => {
        const handle = await open(at(name), 'r');
        try {
          const lengthBytes = range?.lengthBytes ?? (await handle.stat()).size;
          return await readRange(handle, name, range?.offset ?? 0, lengthBytes);
        } finally {
          await handle.close();
        }
      });
    },
    async sizeBytes(path) {
      const name = storagePath(path);
      const found = await attempt(name, () => stat(at(name)));
      if (found.isDirectory()) throw new StorageFailedError(name, 'is a folder, not a file');
      return found.size;
    },
    async list(folder) {
      const name = storagePath(folder);
      const names = await attempt(name, () => readdir(at(name)));
      return names.filter((each) => !pendingName.test(each)).sort();
    },
    async exists(path) {
      const name = storagePath(path);
      try {
        await stat(at(name));
        return true;
      } catch (error) {
        const mapped = storageError(name, error);
        if (mapped instanceof StorageMissingError || mapped.details['errno'] === 'ENOTDIR') return false;
        throw mapped;
      }
    },
    async makeFolder(folder) {
      const name = storagePath(folder);
      await attempt(name, async () => void makeFolders(at(name)));
    },
    async rename(from, to) {
      const [source, target] = [storagePath(from), storagePath(to)];
      await attempt(source, () => rename(at(source), at(target)));
    },
    async remove(path) {
      const name = storagePath(path);
      await attempt(name, () => rm(at(name), { recursive: true, force: true }));
    },
    async syncFolder(folder) {
      const name = storagePath(folder);
      await attempt(name, () => syncPath(at(name)));
    },
    async lock(folder, lost) {
      const { lockFolder } = await import('./writer-lock.ts');
      return lockFolder(at(storagePath(folder)), lost);
    },
  };
}
