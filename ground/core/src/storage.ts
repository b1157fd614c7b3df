/** An open file that is being written aside; nothing is visible under its final name before `commit`. */
export interface PendingFile {
  write(chunk: Uint8Array): Promise<void>;
  /** fsync, rename over the final name, fsync of the folder. */
  commit(): Promise<void>;
  /** Removes what was written; safe to call after a failed write or commit. */
  abort(): Promise<void>;
}

/**
 * A file that grows at its end, such as a log of metrics or a journal. When another one takes its name, what is added from then on is in
 * neither.
 */
export interface GrowingFile {
  /** Size when it was opened; 0: it is new. */
  readonly openedBytes: number;
  /**
   * Adds a chunk. The operating system has it when the call returns, so a process that ends at once loses nothing; a machine that loses its
   * power may lose the end of the file, or a part of it.
   */
  append(chunk: Uint8Array): void;
  /**
   * fsync: resolved, what was added before the call is there after a loss of power, once the name of the file lasts (`syncFolder`). Rejected,
   * nobody knows how much of it is, also when it is called again.
   */
  sync(): Promise<void>;
  /** May be called twice. Waits for what is being synced, and syncs nothing. */
  close(): Promise<void>;
}

/** That this process alone writes a folder. */
export interface FolderLock {
  /** Gives it back; may be called twice. */
  release(): Promise<void>;
  /** Like `release`, and leaves no file of its own behind: the folder is about to be removed. */
  remove(): Promise<void>;
}

/**
 * Durable files. Paths are relative to the storage's root, with `/`.
 *
 * @throws {TroupeError} TROUPE_STORAGE_FULL (retryable), TROUPE_STORAGE_MISSING, TROUPE_STORAGE_DENIED, TROUPE_STORAGE_FAILED
 */
export interface Storage {
  create(path: string): Promise<PendingFile>;
  /** `create`, one `write`, `commit`. */
  writeAtomic(path: string, bytes: Uint8Array): Promise<void>;
  /**
   * Makes a file that is not there, whole and lasting. Of several processes that try, also on several machines that share the disk, one
   * alone does.
   *
   * @returns false when there is one: it stays as it is
   */
  createExclusive(path: string, bytes: Uint8Array): Promise<boolean>;
  /** Opens a file to add to it, and makes one that is not there; its folder exists. */
  grow(path: string): Promise<GrowingFile>;
  read(path: string, range?: { readonly offset: number; readonly lengthBytes: number }): Promise<Uint8Array>;
  sizeBytes(path: string): Promise<number>;
  list(folder: string): Promise<readonly string[]>;
  exists(path: string): Promise<boolean>;
  makeFolder(folder: string): Promise<void>;
  /** Atomic where the system's rename is; both inside the root. */
  rename(from: string, to: string): Promise<void>;
  /** Removes a file or a folder with all in it; a missing one is no error. */
  remove(path: string): Promise<void>;
  /** fsync of a folder, so that renames in it last. */
  syncFolder(folder: string): Promise<void>;
}

/** Files that other processes can write too. */
export interface SharedStorage extends Storage {
  /**
   * Makes this process the only writer of a folder, which exists.
   *
   * @param lost - called when another process took over because this one gave no sign for long; it may write no more
   * @throws {TroupeError} TROUPE_RUN_LOCKED (retryable) naming the process that writes it
   */
  lock(folder: string, lost?: () => void): Promise<FolderLock>;
}
