import { closeSync, openSync, readdirSync, readSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { TopologyError } from './errors.ts';
import { limits } from './limits.ts';
import { nowhere } from './problem.ts';

/** The only file of this package that touches the disk. */
const presetFolder = new URL('../presets/', import.meta.url);

/** Bytes that a text of the longest legal length may have, and one more, so that a longer one is seen. */
const BYTES_MAX = 3 * limits.fileLength + 1;

/**
 * The text of a topology file, or the beginning of one that is too long to be one; null when there is no such file.
 *
 * @throws {TopologyError} TROUPE_TOPOLOGY_INVALID (TROUPE_TOPOLOGY_NOT_FOUND) when it is there and cannot be read
 */
export function readTopologyFile(path: string): string | null {
  try {
    return readStart(path);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? '';
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ENAMETOOLONG') return null;
    const rule = code === 'EISDIR' ? 'is a folder; name the file in it' : `cannot be read (${code})`;
    throw new TopologyError([
      { ...nowhere, code: 'TROUPE_TOPOLOGY_NOT_FOUND', key: '', value: path, rule, nearest: null },
    ]);
  }
}

function readStart(path: string): string {
  const file = openSync(path, 'r');
  try {
    const parts: Buffer[] = [];
    let left = BYTES_MAX;
    for (let read = 1; read > 0 && left > 0; left -= read) {
      const part = Buffer.allocUnsafe(Math.min(left, 65_536));
      read = readSync(file, part);
      parts.push(part.subarray(0, read));
    }
    return Buffer.concat(parts).toString('utf8');
  } finally {
    closeSync(file);
  }
}

/** Names that `launch NAME` and `extends: NAME` know, in alphabetical order. */
export function presetNames(): readonly string[] {
  return readdirSync(presetFolder)
    .filter((file) => file.endsWith('.yaml'))
    .map((file) => file.slice(0, -'.yaml'.length))
    .sort();
}

/** The file of a preset; it need not exist. */
export function presetPath(name: string): string {
  return fileURLToPath(new URL(`${name}.yaml`, presetFolder));
}
