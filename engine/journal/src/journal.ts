import { assert, parentFolder, storagePath, type GrowingFile, type Storage } from '@troupe/core';
import { JournalDamagedError } from './errors.ts';
import { readJournal, type JournalText } from './journal-text.ts';
import { lineOf } from './line.ts';
import { compareRecords, type JournalRecord } from './record.ts';
import { jsonOf } from './record-json.ts';

/** Bytes above which a journal drops what a checkpoint has made needless. */
const ROTATE_BYTES = 2 ** 20;

export interface JournalOptions {
  readonly storage: Storage;
  /** Of the file; its folder is made. */
  readonly path: string;
  /** Default 1 MiB. */
  readonly rotateBytes?: number;
  /** An earlier lead may still have it open: what that one adds from now on is nowhere. Default false. */
  readonly cutsOff?: boolean;
}

/** Records that a journal still needs: those behind the last checkpoint, and in any case the newest one. */
function needed(records: readonly JournalRecord[]): readonly JournalRecord[] {
  const step = records.at(-1)?.checkpoint?.step ?? -1;
  return records.filter((record, index) => record.step > step || index === records.length - 1);
}

const bytesOf = (records: readonly JournalRecord[]): Uint8Array => {
  const lines = records.map((record) => lineOf(jsonOf(record)));
  const bytes = new Uint8Array(lines.reduce((sum, { byteLength }) => sum + byteLength, 0));
  let at = 0;
  for (const line of lines) {
    bytes.set(line, at);
    at += line.byteLength;
  }
  return bytes;
};

/** Makes the name of a file last, and those of the folders that it lies in. */
async function syncNames(storage: Storage, path: string): Promise<void> {
  for (let at = storagePath(path); at !== ''; at = parentFolder(at))
    await storage.syncFolder(parentFolder(at));
}

/**
 * The decisions of a run, on a disk: one record a step, which lasts before anybody is told.
 *
 * One process writes it at a time: who opens it holds the run.
 */
export class Journal {
  /** What earlier lives of the lead had decided when it was opened, the newest last. */
  readonly earlier: readonly JournalRecord[];
  readonly #options: JournalOptions;
  /** null: nothing has been added since it was opened. */
  #file: GrowingFile | null = null;
  #sizeBytes: number;
  /** Above which it is looked through for what is needed no more. */
  #limitBytes: number;
  #last: JournalRecord | null;
  #state: 'ready' | 'appending' | 'broken' | 'closed' = 'ready';
  #isOver = false;

  /** {@link openJournal} makes one. */
  constructor(options: JournalOptions, earlier: readonly JournalRecord[], sizeBytes: number) {
    this.#options = options;
    this.earlier = earlier;
    this.#last = earlier.at(-1) ?? null;
    this.#sizeBytes = sizeBytes;
    this.#limitBytes = options.rotateBytes ?? ROTATE_BYTES;
  }

  /** The newest of them; null: nothing had been decided. */
  get newest(): JournalRecord | null {
    return this.earlier.at(-1) ?? null;
  }

  /**
   * Adds a decision. JRN-1: resolved, it is there after a loss of power. JRN-5: behind one that failed nothing is added, since a part of it
   * may be there.
   *
   * @throws {TroupeError} what the storage says
   */
  async append(record: JournalRecord): Promise<void> {
    assert(this.#state === 'ready', 'a journal takes one decision after the other', { state: this.#state });
    assert(
      this.#last === null || compareRecords(this.#last, record) < 0,
      'a decision is recorded once, behind those before it (JRN-3)',
      { epoch: record.epoch, attempt: record.attempt, step: record.step },
    );
    this.#state = 'appending';
    try {
      const line = lineOf(jsonOf(record));
      this.#file ??= await this.#begin();
      this.#file.append(line);
      await this.#file.sync();
      this.#sizeBytes += line.byteLength;
      this.#last = record;
      if (this.#sizeBytes > this.#limitBytes && !this.#isOver) await this.#rotate();
      this.#state = 'ready';
    } catch (error) {
      this.#state = 'broken';
      throw error;
    } finally {
      if (this.#isOver) await this.close();
    }
  }

  /** May be called twice. A decision that is being added is waited for by nobody: the file is closed behind it. */
  async close(): Promise<void> {
    this.#isOver = true;
    if (this.#state === 'appending') return;
    this.#state = 'closed';
    await this.#file?.close();
  }

  /** The file is made with its first record: a run that decides nothing leaves none. */
  async #begin(): Promise<GrowingFile> {
    const { storage, path } = this.#options;
    await storage.makeFolder(parentFolder(storagePath(path)));
    const file = await storage.grow(path);
    await syncNames(storage, path);
    return file;
  }

  /** JRN-4: the file is the old one or the new one, and what the newest record needs is in both. */
  async #rotate(): Promise<void> {
    const { storage, path, rotateBytes = ROTATE_BYTES } = this.#options;
    await this.#file?.close();
    const { records } = readJournal(path, await storage.read(path));
    const kept = bytesOf(needed(records));
    await writeWhole(storage, path, kept);
    this.#file = await storage.grow(path);
    this.#sizeBytes = kept.byteLength;
    // What is still needed may be much: twice as long, so that no record is written again and again.
    this.#limitBytes = Math.max(rotateBytes, 2 * kept.byteLength);
  }
}

/** What is damaged is read once more: a disk may have misread what it holds. */
async function readWhole(
  storage: Storage,
  path: string,
): Promise<JournalText & { readonly bytes: Uint8Array }> {
  if (!(await storage.exists(path))) return { bytes: new Uint8Array(0), records: [], intactBytes: 0 };
  try {
    const bytes = await storage.read(path);
    return { bytes, ...readJournal(path, bytes) };
  } catch (error) {
    if (!(error instanceof JournalDamagedError)) throw error;
    const bytes = await storage.read(path);
    return { bytes, ...readJournal(path, bytes) };
  }
}

/** Writings of a file that a disk has kept a part of, and said that it was whole. */
const MOST_WRITINGS = 3;

/** What takes the place of the journal is looked at: nothing but this process knows what it was to be. */
async function writeWhole(storage: Storage, path: string, bytes: Uint8Array): Promise<void> {
  for (let writing = 0; writing < MOST_WRITINGS; writing++) {
    await storage.writeAtomic(path, bytes);
    const written = await storage.read(path);
    if (written.byteLength === bytes.byteLength && written.every((byte, at) => byte === bytes[at])) return;
  }
  throw new JournalDamagedError(path, 1, `the disk did not keep what was written ${MOST_WRITINGS} times`);
}

/**
 * Opens the journal of a run; one that is not there is empty, which is legal (another node, an empty disk).
 *
 * @throws {JournalDamagedError} TROUPE_JOURNAL_DAMAGED when it is not what was written
 * @throws {TroupeError} what the storage says
 */
export async function openJournal(options: JournalOptions): Promise<Journal> {
  const { storage, path, cutsOff = false } = options;
  const { bytes, records, intactBytes } = await readWhole(storage, path);
  // What was cut off would stand in front of the next record. In a new file what was read lasts, also what nobody had synced yet (TKO-5).
  if (intactBytes < bytes.byteLength || (cutsOff && bytes.byteLength > 0))
    await writeWhole(storage, path, bytes.subarray(0, intactBytes));
  return new Journal(options, records, intactBytes);
}
