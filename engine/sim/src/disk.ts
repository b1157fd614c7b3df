import { MemoryStorage } from './memory-storage.ts';
import { type Fault, DEFAULT_FAULT_MS } from './faults.ts';
import type { PendingFile, Prng, Storage } from '@troupe/core';
import type { SimProcess } from './process.ts';
import type { VirtualClock } from './virtual-clock.ts';

export interface DiskModel {
  /** Time of one call, milliseconds. Default 0.05. */
  readonly latencyMs: number;
  /** Bytes a millisecond read or written. Default 1e6 (1 GB/s). ∞: free. */
  readonly bytesPerMs: number;
  /** Time of one fsync, of a file or a folder, milliseconds. Default 1. */
  readonly syncMs: number;
  /** Bytes it holds. Default ∞. */
  readonly capacityBytes: number;
}

export const defaultDisk: DiskModel = {
  latencyMs: 0.05,
  bytesPerMs: 1e6,
  syncMs: 1,
  capacityBytes: Number.POSITIVE_INFINITY,
};

/** What a planted bug does to a disk; never set by a run. */
export interface DiskPlant {
  /** Files that are written without an fsync: a loss of power takes them. */
  readonly isUnsynced?: (path: string) => boolean;
  /** What is read of a file instead of what it holds. */
  readonly reads?: (path: string, bytes: Uint8Array) => Uint8Array;
}

/**
 * The disk of a machine: outlives its processes, takes time, and fails as told.
 *
 * DSK-1: a call of a process that died meanwhile never ends, and what it had not done is not done. DSK-2: without faults it is the
 * storage that the conformance suite describes.
 */
export class SimDisk {
  readonly #clock: VirtualClock;
  readonly #model: DiskModel;
  readonly #draws: Prng;
  readonly #plant: DiskPlant;
  #numDraws = 0;
  #files: MemoryStorage;
  #tearsNext = false;
  #flipsNext = false;
  #numFull = 0;
  #wasTouched = false;

  /** @param given - `files`: what lies on it at first */
  constructor(
    clock: VirtualClock,
    draws: Prng,
    model: Partial<DiskModel> = {},
    {
      plant = {},
      files,
    }: { readonly plant?: DiskPlant | undefined; readonly files?: MemoryStorage | undefined } = {},
  ) {
    this.#clock = clock;
    this.#draws = draws;
    this.#model = { ...defaultDisk, ...model };
    this.#plant = plant;
    this.#files = files ?? new MemoryStorage({ capacityBytes: this.#model.capacityBytes });
  }

  /** What would be there after a loss of power now, at worst. */
  afterPowerLoss(): MemoryStorage {
    return this.#crash(0, () => 0);
  }

  /** Bytes of a file that would be there after a loss of power now, not to be written; null: it would not be there. */
  lasting(path: string): Uint8Array | null {
    return this.#plant.isUnsynced?.(path) === true ? null : this.#files.lasting(path);
  }

  /** Whether promises of storage may be settling since the last look. */
  takeTouched(): boolean {
    const was = this.#wasTouched;
    this.#wasTouched = false;
    return was;
  }

  strike(fault: Fault): void {
    switch (fault.kind) {
      case 'disk-full': {
        this.#numFull++;
        this.#files.setCapacity(this.#files.usedBytes);
        this.#clock.after(fault.forMs ?? DEFAULT_FAULT_MS, () => {
          if (--this.#numFull === 0) this.#files.setCapacity(this.#model.capacityBytes);
        });
        return;
      }
      case 'torn-write':
        this.#tearsNext = true;
        return;
      case 'bit-flip':
        this.#flipsNext = true;
        return;
      case 'lost-unsynced':
        this.#files = this.#crash(this.#below(this.#files.numUnsynced + 1), (bytes) =>
          this.#below(bytes + 1),
        );
        return;
      default:
    }
  }

  /** The storage that a process sees. */
  open(process: SimProcess): Storage {
    const { latencyMs, bytesPerMs, syncMs } = this.#model;
    const wait = (ms: number): Promise<void> => {
      this.#wasTouched = true;
      return new Promise((resolve) => {
        process.after(ms, () => {
          this.#wasTouched = true;
          resolve();
        });
      });
    };
    const timed = async <T>(ms: number, act: () => Promise<T>): Promise<T> => {
      await wait(ms);
      return act();
    };
    const create = async (path: string): Promise<PendingFile> => {
      const file = await timed(latencyMs, () => this.#files.create(path));
      return {
        write: (chunk) => timed(chunk.byteLength / bytesPerMs, () => file.write(chunk)),
        commit: async () => {
          await timed(latencyMs + 2 * syncMs, () => file.commit());
          if (!this.#tearsNext) return;
          this.#tearsNext = false;
          this.#files.tear(path, this.#below(await this.#files.sizeBytes(path)));
        },
        abort: () => timed(latencyMs, () => file.abort()),
      };
    };
    return {
      create,
      grow: async (path) => {
        const file = await timed(latencyMs, () => this.#files.grow(path));
        let synced: Promise<unknown> = Promise.resolve();
        const sync = (): Promise<void> => {
          const syncing = timed(latencyMs + syncMs, () => file.sync());
          synced = Promise.allSettled([synced, syncing]);
          return syncing;
        };
        return { ...file, sync, close: () => synced.then(() => file.close()) };
      },
      writeAtomic: async (path, bytes) => {
        const file = await create(path);
        try {
          await file.write(bytes);
          await file.commit();
        } catch (error) {
          await file.abort();
          throw error;
        }
      },
      createExclusive: (path, bytes) =>
        timed(2 * latencyMs + bytes.byteLength / bytesPerMs + 2 * syncMs, () =>
          this.#files.createExclusive(path, bytes),
        ),
      read: async (path, range) => {
        await wait(latencyMs);
        const whole = await this.#files.read(path, range);
        const bytes = this.#plant.reads?.(path, whole) ?? whole;
        await wait(bytes.byteLength / bytesPerMs);
        if (this.#flipsNext && bytes.byteLength > 0) {
          this.#flipsNext = false;
          const bit = this.#below(8 * bytes.byteLength);
          bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        }
        return bytes;
      },
      sizeBytes: (path) => timed(latencyMs, () => this.#files.sizeBytes(path)),
      list: (folder) => timed(latencyMs, () => this.#files.list(folder)),
      exists: (path) => timed(latencyMs, () => this.#files.exists(path)),
      makeFolder: (folder) => timed(latencyMs, () => this.#files.makeFolder(folder)),
      rename: (from, to) => timed(latencyMs, () => this.#files.rename(from, to)),
      remove: (path) => timed(latencyMs, () => this.#files.remove(path)),
      syncFolder: (folder) => timed(syncMs, () => this.#files.syncFolder(folder)),
    };
  }

  #crash(keptChanges: number, keptTail: (unsyncedBytes: number) => number): MemoryStorage {
    const { capacityBytes } = this.#model;
    const files = this.#files.crash(keptChanges, { capacityBytes }, keptTail);
    const { isUnsynced } = this.#plant;
    if (isUnsynced !== undefined) for (const path of files.paths.filter(isUnsynced)) files.tear(path, 0);
    return files;
  }

  #below(bound: number): number {
    return this.#draws.integer(this.#numDraws++, Math.max(1, bound));
  }
}
