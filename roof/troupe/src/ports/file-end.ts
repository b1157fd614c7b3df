import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

/** The last bytes of a file, from the first whole line on; '' for one that is not there. */
export function endOfFile(path: string, bytesMax: number): string {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
  try {
    const { size } = fstatSync(file);
    const from = Math.max(0, size - bytesMax);
    const bytes = Buffer.alloc(size - from);
    const text = bytes.toString('utf8', 0, readSync(file, bytes, 0, bytes.length, from));
    return from === 0 ? text : text.slice(text.indexOf('\n') + 1);
  } finally {
    closeSync(file);
  }
}
