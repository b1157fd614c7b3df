import { createHash } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

/** Bytes of a piece: what the lead reads, and what a machine's other lines wait for, at a time. */
export const pieceBytes = 256 * 1024;

/** A piece of the packed corpus, or with `from: -1` word of it without any bytes. */
export interface CorpusPiece {
  readonly from: number;
  /** Bytes of all, and their sha256. */
  readonly of: number;
  readonly file: string;
  /** Base64, and the sha256 of the bytes. */
  readonly bytes: string;
  readonly sha256: string;
}

export const sha256Of = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** sha256 of a whole file, read a piece at a time. */
export function sha256OfFile(path: string): string {
  const file = openSync(path, 'r');
  try {
    const hash = createHash('sha256');
    const bytes = Buffer.alloc(pieceBytes);
    for (let at = 0, read = 1; read > 0; at += read) {
      read = readSync(file, bytes, 0, bytes.length, at);
      hash.update(bytes.subarray(0, read));
    }
    return hash.digest('hex');
  } finally {
    closeSync(file);
  }
}

interface OpenFile {
  readonly handle: number;
  readonly of: number;
  readonly sha256: string;
}

/** The corpus of a run as the lead gives it to machines that lack its files: packed when the first of them asks, and read a piece at a time. */
export class OfferedCorpus {
  readonly #pack: () => string;
  #file: OpenFile | null = null;

  /** @param pack - writes it and says where it is */
  constructor(pack: () => string) {
    this.#pack = pack;
  }

  /** @param from - first byte; -1: word of it alone */
  piece(from: number): CorpusPiece {
    const { handle, of, sha256: file } = (this.#file ??= this.#open());
    const bytes = Buffer.alloc(from < 0 ? 0 : Math.max(0, Math.min(pieceBytes, of - from)));
    const read = bytes.length === 0 ? 0 : readSync(handle, bytes, 0, bytes.length, from);
    const found = bytes.subarray(0, read);
    return { from, of, file, bytes: found.toString('base64'), sha256: sha256Of(found) };
  }

  close(): void {
    if (this.#file !== null) closeSync(this.#file.handle);
    this.#file = null;
  }

  #open(): OpenFile {
    const path = this.#pack();
    const sha256 = sha256OfFile(path);
    const handle = openSync(path, 'r');
    return { handle, of: fstatSync(handle).size, sha256 };
  }
}
