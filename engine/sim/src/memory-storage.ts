import { StorageFailedError, StorageFullError, StorageMissingError } from '@troupe/core';
import { parentFolder, storagePath } from '@troupe/core';
import type { GrowingFile, PendingFile, Storage } from '@troupe/core';

/** One step of a call on a {@link MemoryStorage}; the points between which a machine can die. */
export interface StorageOperation {
  readonly kind:
    | 'create'
    | 'write'
    | 'commit'
    | 'abort'
    | 'grow'
    | 'sync'
    | 'read'
    | 'rename'
    | 'remove'
    | 'make-folder'
    | 'sync-folder';
  readonly path: string;
}

export interface MemoryStorageOptions {
  /** Bytes it can hold, files being written included. Default: no limit. */
  readonly capacityBytes?: number;
  /** Runs before an operation; what it throws is what the caller gets, and nothing happens. */
  readonly before?: (operation: StorageOperation) => void;
  /** Runs when an operation is done. */
  readonly after?: (operation: StorageOperation) => void;
}

interface Tree {
  readonly files: Map<string, Uint8Array>;
  readonly folders: Set<string>;
}

interface NameChange {
  /** Folders whose fsync makes the change last. */
  readonly folders: readonly string[];
  apply(tree: Tree): void;
}

const cloneTree = (tree: Tree): Tree => ({ files: new Map(tree.files), folders: new Set(tree.folders) });
const isInside = (path: string, folder: string): boolean => folder === '' || path.startsWith(`${folder}/`);

/**
 * A disk in memory with the faults of a real one: it can be full, be torn, flip bits and lose power.
 *
 * Two trees are kept: what callers see, and what would be there after a loss of power. Changes of names reach the
 * second one when their folder is synced, in the order in which they were made, as in a journal.
 */
export class MemoryStorage implements Storage {
  readonly #visible: Tree;
  readonly #durable: Tree;
  readonly #options: MemoryStorageOptions;
  #unsynced: NameChange[] = [];
  /** What a growing file held when it was last synced, by name; that lasts as soon as the name does. */
  readonly #synced = new Map<string, Uint8Array>();
  /** Files that have grown since they were last synced. */
  readonly #grown = new Set<string>();
  /** Which file has a name now, where one that grows was opened: whoever opened another one adds to that, wherever it went. */
  readonly #grownAs = new Map<string, object>();
  #capacityBytes: number;
  #pendingBytes = 0;

  constructor(options: MemoryStorageOptions = {}, tree?: Tree) {
    this.#visible = tree === undefined ? { files: new Map(), folders: new Set(['']) } : cloneTree(tree);
    this.#durable = cloneTree(this.#visible);
    this.#options = options;
    this.#capacityBytes = options.capacityBytes ?? Number.POSITIVE_INFINITY;
  }

  /** Bytes held now, files being written included. */
  get usedBytes(): number {
    let sum = this.#pendingBytes;
    for (const bytes of this.#visible.files.values()) sum += bytes.byteLength;
    return sum;
  }

  /** Bytes of a file that would be there after a loss of power, not to be written; null: it would not be there. */
  lasting(path: string): Uint8Array | null {
    return this.#durable.files.get(storagePath(path)) ?? null;
  }

  /** Changes of names that a loss of power may still undo. */
  get numUnsynced(): number {
    return this.#unsynced.length;
  }

  /** Paths of all files, sorted. */
  get paths(): readonly string[] {
    return [...this.#visible.files.keys()].sort();
  }

  setCapacity(capacityBytes: number): void {
    this.#capacityBytes = capacityBytes;
  }

  /** Turns over bit `bitIndex` (0 is the lowest bit of the first byte) of a file, for good. */
  flipBit(path: string, bitIndex: number): void {
    const bytes = this.#file(storagePath(path));
    const byteIndex = Math.floor(bitIndex / 8);
    if (byteIndex >= bytes.byteLength) throw new StorageFailedError(path, `has no bit ${bitIndex}`);
    bytes[byteIndex] = (bytes[byteIndex] ?? 0) ^ (1 << (bitIndex % 8));
  }

  /** Cuts a file to its first `lengthBytes` bytes, as a torn write does. */
  tear(path: string, lengthBytes: number): void {
    const whole = this.#file(storagePath(path));
    const kept = whole.slice(0, lengthBytes);
    for (const { files } of [this.#visible, this.#durable]) {
      for (const [name, bytes] of files) if (bytes === whole) files.set(name, kept);
    }
  }

  /**
   * The disk after a loss of power: files being written are gone, and of the unsynced changes of names only the
   * first `keptChanges` (0 … numUnsynced, default 0) happened. This storage goes on as if nothing had been.
   *
   * @param keptTail - of so many bytes that a growing file got since it was last synced, those that are there; default none
   */
  crash(
    keptChanges = 0,
    options: MemoryStorageOptions = {},
    keptTail: (unsyncedBytes: number) => number = () => 0,
  ): MemoryStorage {
    const tree = cloneTree(this.#durable);
    for (const change of this.#unsynced.slice(0, keptChanges)) change.apply(tree);
    for (const [path, bytes] of tree.files) {
      const all = this.#grown.has(path) ? (this.#visible.files.get(path) ?? bytes) : bytes;
      const tailBytes = all.byteLength - bytes.byteLength;
      tree.files.set(
        path,
        tailBytes > 0 ? all.slice(0, bytes.byteLength + keptTail(tailBytes)) : bytes.slice(),
      );
    }
    return new MemoryStorage(options, tree);
  }

  async create(path: string): Promise<PendingFile> {
    const name = storagePath(path);
    return this.#do('create', name, () => {
      this.#folder(parentFolder(name));
      if (this.#visible.folders.has(name)) throw new StorageFailedError(path, 'is a folder');
      return this.#pendingFile(name);
    });
  }

  async writeAtomic(path: string, bytes: Uint8Array): Promise<void> {
    const file = await this.create(path);
    try {
      await file.write(bytes);
      await file.commit();
    } catch (error) {
      await file.abort();
      throw error;
    }
  }

  async createExclusive(path: string, bytes: Uint8Array): Promise<boolean> {
    const name = storagePath(path);
    if (this.#visible.files.has(name)) return false;
    const file = await this.create(path);
    try {
      await file.write(bytes);
      if (this.#visible.files.has(name)) return false;
      await file.commit();
      return true;
    } finally {
      await file.abort();
    }
  }

  async grow(path: string): Promise<GrowingFile> {
    const name = storagePath(path);
    return this.#do('grow', name, () => {
      this.#folder(parentFolder(name));
      if (this.#visible.folders.has(name)) throw new StorageFailedError(path, 'is a folder');
      return this.#growingFile(name);
    });
  }

  async read(
    path: string,
    range?: { readonly offset: number; readonly lengthBytes: number },
  ): Promise<Uint8Array> {
    const name = storagePath(path);
    return this.#do('read', name, () => {
      const bytes = this.#file(name);
      const { offset, lengthBytes } = range ?? { offset: 0, lengthBytes: bytes.byteLength };
      if (offset + lengthBytes > bytes.byteLength) {
        throw new StorageFailedError(
          path,
          `ends at byte ${bytes.byteLength}, before ${offset + lengthBytes}`,
        );
      }
      return bytes.slice(offset, offset + lengthBytes);
    });
  }

  async sizeBytes(path: string): Promise<number> {
    return this.#file(storagePath(path)).byteLength;
  }

  async list(folder: string): Promise<readonly string[]> {
    const name = storagePath(folder);
    this.#folder(name);
    const all = [...this.#visible.files.keys(), ...this.#visible.folders];
    const inside = all.filter((path) => path !== '' && parentFolder(path) === name);
    return inside.map((path) => path.slice(name === '' ? 0 : name.length + 1)).sort();
  }

  async exists(path: string): Promise<boolean> {
    const name = storagePath(path);
    return this.#visible.files.has(name) || this.#visible.folders.has(name);
  }

  async makeFolder(folder: string): Promise<void> {
    const name = storagePath(folder);
    this.#do('make-folder', name, () => {
      const missing: string[] = [];
      for (let at = name; !this.#visible.folders.has(at); at = parentFolder(at)) {
        if (this.#visible.files.has(at)) throw new StorageFailedError(at, 'is a file, not a folder');
        missing.unshift(at);
      }
      for (const at of missing) {
        this.#change([parentFolder(at)], (tree) => {
          tree.folders.add(at);
        });
      }
    });
  }

  async rename(from: string, to: string): Promise<void> {
    const [source, target] = [storagePath(from), storagePath(to)];
    this.#do('rename', target, () => {
      const isFolder = this.#visible.folders.has(source);
      if (!isFolder) this.#file(source);
      this.#folder(parentFolder(target));
      if (source === target) return;
      if (isFolder && isInside(target, source)) throw new StorageFailedError(to, `lies inside '${from}'`);
      const children = [...this.#visible.files.keys(), ...this.#visible.folders];
      const isInTheWay = isFolder
        ? this.#visible.files.has(target) || children.some((path) => path !== '' && isInside(path, target))
        : this.#visible.folders.has(target);
      if (isInTheWay) throw new StorageFailedError(to, `exists, '${from}' cannot take its place`);
      for (const each of [source, target]) this.#grownAs.delete(each);
      this.#change([parentFolder(source), parentFolder(target)], (tree) => moveInTree(tree, source, target));
    });
  }

  async remove(path: string): Promise<void> {
    const name = storagePath(path);
    this.#do('remove', name, () => {
      if (!this.#visible.files.has(name) && !this.#visible.folders.has(name)) return;
      this.#grownAs.delete(name);
      this.#change([parentFolder(name)], (tree) => {
        tree.files.delete(name);
        tree.folders.delete(name);
        for (const file of tree.files.keys()) if (isInside(file, name)) tree.files.delete(file);
        for (const folder of tree.folders)
          if (isInside(folder, name) && folder !== '') tree.folders.delete(folder);
        tree.folders.add('');
      });
    });
  }

  async syncFolder(folder: string): Promise<void> {
    const name = storagePath(folder);
    this.#do('sync-folder', name, () => {
      this.#folder(name);
      this.#sync(name);
    });
  }

  #do<T>(kind: StorageOperation['kind'], path: string, act: () => T): T {
    this.#options.before?.({ kind, path });
    const result = act();
    this.#options.after?.({ kind, path });
    return result;
  }

  #file(name: string): Uint8Array {
    const bytes = this.#visible.files.get(name);
    if (bytes !== undefined) return bytes;
    if (this.#visible.folders.has(name)) throw new StorageFailedError(name, 'is a folder, not a file');
    throw new StorageMissingError(name);
  }

  #folder(name: string): void {
    if (this.#visible.folders.has(name)) return;
    if (this.#visible.files.has(name)) throw new StorageFailedError(name, 'is a file, not a folder');
    throw new StorageMissingError(name);
  }

  #change(folders: readonly string[], apply: (tree: Tree) => void): void {
    apply(this.#visible);
    this.#unsynced.push({ folders, apply });
  }

  #sync(folder: string): void {
    const last = this.#unsynced.findLastIndex((change) => change.folders.includes(folder));
    for (const change of this.#unsynced.splice(0, last + 1)) change.apply(this.#durable);
  }

  /** What is added lasts as soon as it was synced, and the name of the file lasts. */
  #growingFile(name: string): GrowingFile {
    if (!this.#visible.files.has(name)) {
      const none = new Uint8Array(0);
      this.#synced.delete(name);
      this.#change([parentFolder(name)], (tree) => {
        tree.files.set(name, this.#synced.get(name) ?? none);
      });
    }
    let isOpen = true;
    const file = this.#grownAs.get(name) ?? {};
    this.#grownAs.set(name, file);
    const isNamed = (): boolean => this.#grownAs.get(name) === file;
    const append = (chunk: Uint8Array): void => {
      if (!isOpen) throw new StorageFailedError(name, 'is already closed');
      if (!isNamed()) return;
      const part = chunk.subarray(0, Math.max(0, this.#capacityBytes - this.usedBytes));
      this.#visible.files.set(name, extended(this.#file(name), part));
      this.#grown.add(name);
      if (part.byteLength < chunk.byteLength) throw new StorageFullError(name);
    };
    const sync = (): void => {
      if (!isOpen) throw new StorageFailedError(name, 'is already closed');
      if (!isNamed()) return;
      const all = this.#file(name);
      this.#synced.set(name, all);
      if (this.#durable.files.has(name)) this.#durable.files.set(name, all);
      this.#grown.delete(name);
    };
    return {
      openedBytes: this.#file(name).byteLength,
      append: (chunk) => this.#do('write', name, () => append(chunk)),
      sync: async () => this.#do('sync', name, sync),
      close: async () => {
        isOpen = false;
      },
    };
  }

  #pendingFile(name: string): PendingFile {
    let chunks: Uint8Array[] = [];
    let sizeBytes = 0;
    let isOpen = true;
    let isTorn = false;
    const close = (): void => {
      this.#pendingBytes -= sizeBytes;
      chunks = [];
      isOpen = false;
    };
    const write = (chunk: Uint8Array): void => {
      if (!isOpen) throw new StorageFailedError(name, 'is already committed or aborted');
      const room = this.#capacityBytes - this.usedBytes;
      const part = chunk.slice(0, Math.max(0, room));
      chunks.push(part);
      sizeBytes += part.byteLength;
      this.#pendingBytes += part.byteLength;
      if (part.byteLength < chunk.byteLength) {
        isTorn = true;
        throw new StorageFullError(name);
      }
    };
    const commit = (): void => {
      if (!isOpen) throw new StorageFailedError(name, 'is already committed or aborted');
      if (isTorn) throw new StorageFailedError(name, 'an earlier write failed, so it cannot be committed');
      this.#folder(parentFolder(name));
      const bytes = new Uint8Array(sizeBytes);
      let at = 0;
      for (const chunk of chunks) {
        bytes.set(chunk, at);
        at += chunk.byteLength;
      }
      close();
      this.#grownAs.delete(name);
      this.#change([parentFolder(name)], (tree) => {
        tree.files.set(name, bytes);
      });
      this.#sync(parentFolder(name));
    };
    return {
      write: async (chunk) => this.#do('write', name, () => write(chunk)),
      commit: async () => this.#do('commit', name, commit),
      abort: async () => {
        if (isOpen) this.#do('abort', name, close);
      },
    };
  }
}

/** The same bytes and `part` after them. Room doubles, so that a file of n chunks is not copied n times. */
function extended(bytes: Uint8Array, part: Uint8Array): Uint8Array {
  const sizeBytes = bytes.byteLength + part.byteLength;
  const isRoom = bytes.byteOffset === 0 && bytes.buffer.byteLength >= sizeBytes;
  const buffer = isRoom ? bytes.buffer : new ArrayBuffer(2 * sizeBytes);
  const all = new Uint8Array(buffer, 0, sizeBytes);
  if (!isRoom) all.set(bytes);
  all.set(part, bytes.byteLength);
  return all;
}

function moveInTree(tree: Tree, source: string, target: string): void {
  const moved = (path: string): string => target + path.slice(source.length);
  for (const [path, bytes] of tree.files) {
    if (path !== source && !isInside(path, source)) continue;
    tree.files.delete(path);
    tree.files.set(moved(path), bytes);
  }
  for (const folder of tree.folders) {
    if (folder !== source && !isInside(folder, source)) continue;
    tree.folders.delete(folder);
    tree.folders.add(moved(folder));
  }
}

/** A {@link MemoryStorage}: a disk in memory, for tests and for the simulator. */
export function memoryStorage(options: MemoryStorageOptions = {}): MemoryStorage {
  return new MemoryStorage(options);
}
