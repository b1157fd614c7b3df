import { createHash } from 'node:crypto';
import { basename, join } from 'node:path';
import { readCacheFile, writeCacheFile, type CacheEntry } from './cache-file.ts';
import { CACHE_BYTES_MAX, touchEntry, trimCache } from './data-cache.ts';
import { noPackedCorpus, packedKey } from './packed-corpus.ts';

/** Raise it when the same text would come out differently: cleaning, splitting, training, packing. */
const CODE_VERSION = 2;

export interface CacheOptions {
  /** Where trained tokenizers and token ids are kept; absent: nothing is kept. */
  readonly cacheFolder?: string;
  /** Milliseconds since 1970, which say what of the cache was used last; absent: it keeps everything. */
  readonly wallClockMs?: () => number;
  /** The corpus is one that was packed under this name, and made of nothing else. */
  readonly packed?: string;
}

/** The cache of one call: a failed write is remembered, never thrown, since the data are good without it. */
export class EntryCache {
  problem: string | undefined;
  numBuilt = 0;
  private readonly folder: string | undefined;
  private readonly wallClockMs: (() => number) | undefined;
  private readonly packed: string | undefined;
  /** Files of this corpus, which stay however large they are. */
  private readonly used = new Set<string>();

  constructor({ cacheFolder, wallClockMs, packed }: CacheOptions) {
    this.packed = packed;
    this.folder = cacheFolder;
    this.wallClockMs = wallClockMs;
  }

  /** What is stored under the parts of a key, else what `build` makes, stored. A null part: not to be stored. */
  async entry<T>(
    name: 'tokenizer' | 'corpus',
    parts: readonly (string | number | null)[],
    load: (entry: CacheEntry) => T | null,
    build: () => Promise<T>,
    save: (value: T) => CacheEntry,
  ): Promise<T> {
    const packed = name === 'corpus' ? this.packed : undefined;
    const key =
      packed === undefined
        ? createHash('sha256')
            .update(JSON.stringify([name, CODE_VERSION, ...parts]))
            .digest('hex')
        : packedKey(packed);
    const path =
      this.folder === undefined || (packed === undefined && parts.includes(null))
        ? undefined
        : join(this.folder, `${name}-${key.slice(0, 24)}.bin`);
    const stored = path === undefined ? null : readCacheFile(path, key);
    const loaded = stored === null ? null : load(stored);
    if (path !== undefined) this.used.add(basename(path));
    if (loaded !== null) {
      if (path !== undefined && this.wallClockMs !== undefined) touchEntry(path, this.wallClockMs());
      return loaded;
    }
    const value = await (packed === undefined ? build() : noPackedCorpus());
    this.numBuilt++;
    try {
      if (path !== undefined) writeCacheFile(path, key, save(value));
      this.trim();
    } catch (error) {
      this.problem = error instanceof Error ? error.message : String(error);
    }
    return value;
  }

  private trim(): void {
    const { folder, wallClockMs, used } = this;
    if (folder !== undefined && wallClockMs !== undefined)
      trimCache(folder, { bytesMax: CACHE_BYTES_MAX, kept: used, nowMs: wallClockMs() });
  }
}
