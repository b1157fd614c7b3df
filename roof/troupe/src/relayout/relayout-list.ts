import { parentFolder, storagePath, type Storage } from '@troupe/core';
import type { RelayoutRecord } from './relayout.ts';

/** Beside the checkpoints of a run. */
const RELAYOUTS_FILE = 'relayouts.json';

/** An id that so many others came after may be used again. */
const MOST_KEPT = 256;

/**
 * The relayouts of a run, on its disk: written whole and atomically, so that what one says was recorded is there after a loss of power.
 *
 * A file of its own: the journal drops what lies before a checkpoint, and these are kept.
 */
export class RelayoutList {
  readonly #storage: Storage;
  readonly #path: string;
  #records: readonly RelayoutRecord[];
  #writing: Promise<void> = Promise.resolve();

  private constructor(storage: Storage, path: string, records: readonly RelayoutRecord[]) {
    this.#storage = storage;
    this.#path = path;
    this.#records = records;
  }

  /** Of a run that went on before, with what it was asked then; one that ended while it was open was dropped. */
  static async open(storage: Storage, folder: string): Promise<RelayoutList> {
    const path = folder === '' ? RELAYOUTS_FILE : `${folder}/${RELAYOUTS_FILE}`;
    const records = (await storage.exists(path)) ? recordsIn(await storage.read(path)) : [];
    const ended = records.map((each) =>
      each.state === 'open' ? { ...each, state: 'dropped' as const } : each,
    );
    return new RelayoutList(storage, path, ended);
  }

  get all(): readonly RelayoutRecord[] {
    return this.#records;
  }

  find(id: string): RelayoutRecord | null {
    return this.#records.find((each) => each.id === id) ?? null;
  }

  /** Resolved, it lasts. In place of what was known of that id. */
  async put(record: RelayoutRecord): Promise<void> {
    const others = this.#records.filter(({ id }) => id !== record.id);
    const records = [...others, record].slice(-MOST_KEPT);
    const bytes = new TextEncoder().encode(`${JSON.stringify({ format: 1, relayouts: records })}\n`);
    this.#records = records;
    const written = this.#writing.then(() => this.#write(bytes));
    // One that fails is its own matter: the next one writes all.
    this.#writing = written.catch(() => {});
    await written;
  }

  async #write(bytes: Uint8Array): Promise<void> {
    await this.#storage.makeFolder(parentFolder(storagePath(this.#path)));
    await this.#storage.writeAtomic(this.#path, bytes);
  }
}

/** What is no list of this version counts as none: nothing but answers to repeated ids hangs on it. */
function recordsIn(bytes: Uint8Array): readonly RelayoutRecord[] {
  try {
    const read = JSON.parse(new TextDecoder().decode(bytes)) as {
      readonly format?: unknown;
      readonly relayouts?: unknown;
    } | null;
    return read?.format === 1 && Array.isArray(read.relayouts) ? (read.relayouts as RelayoutRecord[]) : [];
  } catch {
    return [];
  }
}
