import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { unreadable } from './text-lines.ts';

/**
 * Absolute path, size and time of change of each file, and the sum of the sizes.
 *
 * @throws {DataSourceError} TROUPE_DATA_UNREADABLE for a missing file
 */
export function describeFiles(paths: readonly string[]): {
  readonly identity: string;
  readonly sizeBytes: number;
} {
  let sizeBytes = 0;
  const parts = paths.map((path) => {
    try {
      const { size, mtimeNs } = statSync(path, { bigint: true });
      sizeBytes += Number(size);
      return `${resolve(path)} ${size} ${mtimeNs}`;
    } catch (error) {
      throw unreadable(path, error);
    }
  });
  return { identity: parts.join('\n'), sizeBytes };
}
