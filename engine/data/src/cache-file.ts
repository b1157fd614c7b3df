import { createHash, randomUUID } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';

const MAGIC = 'TROUPED1';
const ALIGN = 8;
const CHUNK_BYTES = 1 << 30;

type Section = Uint8Array | Uint16Array | Int32Array;
const kinds = { u8: Uint8Array, u16: Uint16Array, i32: Int32Array } as const;
type Kind = keyof typeof kinds;

interface Header {
  readonly key: string;
  readonly sha256: string;
  readonly meta: Readonly<Record<string, number | null>>;
  readonly sections: readonly { readonly name: string; readonly kind: Kind; readonly length: number }[];
}

/** Named arrays and a few numbers under one key. */
export interface CacheEntry {
  readonly meta: Readonly<Record<string, number | null>>;
  readonly sections: Readonly<Record<string, Section>>;
}

const kindOf = (section: Section): Kind =>
  section instanceof Uint16Array ? 'u16' : section instanceof Int32Array ? 'i32' : 'u8';
const bytesOf = (section: Section): Uint8Array =>
  new Uint8Array(section.buffer, section.byteOffset, section.byteLength);
const padded = (numBytes: number): number => Math.ceil(numBytes / ALIGN) * ALIGN;

/**
 * Writes an entry: aside, then renamed over `path`, so that a reader sees a whole entry or none and processes
 * that build the same entry at the same time do no harm. Layout: magic, header length, header (JSON), arrays, each
 * on an 8-byte boundary.
 */
export function writeCacheFile(path: string, key: string, entry: CacheEntry): void {
  makeFolder(dirname(path));
  const sections = Object.entries(entry.sections);
  const described = {
    key,
    meta: entry.meta,
    sections: sections.map(([name, section]) => ({ name, kind: kindOf(section), length: section.length })),
  };
  const hash = createHash('sha256').update(JSON.stringify(described));
  for (const [, section] of sections) hash.update(bytesOf(section));
  const header: Header = { ...described, sha256: hash.digest('hex') };
  const json = new TextEncoder().encode(JSON.stringify(header));
  const start = new Uint8Array(padded(16 + json.length));
  start.set(new TextEncoder().encode(MAGIC));
  new DataView(start.buffer).setUint32(8, json.length, true);
  start.set(json, 16);
  const aside = `${path}.${randomUUID()}.tmp`;
  try {
    const file = openSync(aside, 'wx');
    try {
      writeAll(file, start);
      for (const [, section] of sections) {
        writeAll(file, bytesOf(section));
        writeAll(file, new Uint8Array(padded(section.byteLength) - section.byteLength));
      }
    } finally {
      closeSync(file);
    }
    renameSync(aside, path);
  } catch (error) {
    rmSync(aside, { force: true });
    throw error;
  }
}

/** One folder after the other: under /proc, where nothing can be made, Node's recursive `mkdirSync` never returns. */
function makeFolder(path: string): void {
  if (existsSync(path)) return;
  makeFolder(dirname(path));
  try {
    mkdirSync(path);
  } catch (error) {
    // Another process was first.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

function writeAll(file: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;)
    at += writeSync(file, bytes, at, Math.min(CHUNK_BYTES, bytes.length - at));
}

function readAll(path: string): Uint8Array<ArrayBuffer> | null {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch {
    return null;
  }
  try {
    const bytes = new Uint8Array(fstatSync(file).size);
    for (let at = 0; at < bytes.length;) {
      const numRead = readSync(file, bytes, at, Math.min(CHUNK_BYTES, bytes.length - at), at);
      if (numRead === 0) return null;
      at += numRead;
    }
    return bytes;
  } catch {
    return null;
  } finally {
    closeSync(file);
  }
}

/** The entry under `path`, or null when it is missing, another key's, cut, or damaged: the caller rebuilds it. */
export function readCacheFile(path: string, key: string): CacheEntry | null {
  const bytes = readAll(path);
  if (bytes === null || bytes.length < 16) return null;
  if (new TextDecoder().decode(bytes.subarray(0, 8)) !== MAGIC) return null;
  const headerBytes = new DataView(bytes.buffer).getUint32(8, true);
  const header = parseHeader(bytes.subarray(16, 16 + headerBytes));
  if (header === null || header.key !== key) return null;
  const sections: Record<string, Section> = {};
  const { meta, sections: described } = header;
  const hash = createHash('sha256').update(JSON.stringify({ key, meta, sections: described }));
  let at = padded(16 + headerBytes);
  for (const { name, kind, length } of described) {
    const numBytes = length * kinds[kind].BYTES_PER_ELEMENT;
    if (at + numBytes > bytes.length) return null;
    hash.update(bytes.subarray(at, at + numBytes));
    sections[name] = new kinds[kind](bytes.buffer, at, length);
    at += padded(numBytes);
  }
  return hash.digest('hex') === header.sha256 ? { meta, sections } : null;
}

function parseHeader(bytes: Uint8Array): Header | null {
  try {
    const header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as Header;
    const whole = header.sections.every(
      ({ kind, length }) => kind in kinds && Number.isInteger(length) && length >= 0,
    );
    return whole ? header : null;
  } catch {
    return null;
  }
}
