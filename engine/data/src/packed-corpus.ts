import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { readCacheFile, writeCacheFile, type CacheEntry } from './cache-file.ts';
import { DataSourceError } from './errors.ts';

/** Of a corpus that is known by what is in it, and not by the files it was made from. */
export const packedKey = (id: string): string =>
  createHash('sha256')
    .update(JSON.stringify(['corpus', 'packed', id]))
    .digest('hex');

/**
 * Where a cache folder has the token ids of a corpus for machines that lack its files.
 *
 * @param id - names the documents, the tokenizer and the split
 */
export const packedCorpusPath = (folder: string, id: string): string =>
  join(folder, `corpus-${packedKey(id).slice(0, 24)}.bin`);

/** Writes it, unless it is there and whole. @returns its path */
export function writePackedCorpus(folder: string, id: string, entry: CacheEntry): string {
  const path = packedCorpusPath(folder, id);
  if (readCacheFile(path, packedKey(id)) === null) writeCacheFile(path, packedKey(id), entry);
  return path;
}

/** What is made of a packed corpus that is not there: nothing. */
export const noPackedCorpus = (): Promise<never> =>
  Promise.reject(
    new DataSourceError(
      'the packed corpus of this run',
      'it is not in the cache of this machine, or damaged',
      'data.ship: false reads the files of data on every machine instead',
    ),
  );
