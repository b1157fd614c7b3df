import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { TroupeError } from '@troupe/core';
import { pieceBytes, sha256Of, sha256OfFile, type CorpusPiece } from './offered-corpus.ts';

/** A piece that comes damaged, or a whole that is, is asked for so often again. */
const TRIES = 3;

export interface FetchOptions {
  /** Where it is to be. */
  readonly path: string;
  /** Tells partial files of the machines of one disk apart. */
  readonly agent: string;
  /** Asks for a piece from a byte on, -1: word of it. */
  readonly ask: (from: number) => void;
  readonly done: () => void;
  readonly failed: (error: TroupeError) => void;
}

/**
 * A packed corpus on its way to this machine.
 *
 * SHP-1: it is there under its name when all of it is and its sha256 is that of the lead's, or not at all.
 * SHP-2: a fetch that was interrupted, by whatever, goes on where it was; what was damaged on the way or on the disk is fetched again, a bounded
 * number of times.
 * SHP-3: neither side holds more of it in memory than a piece.
 */
export class FetchedCorpus {
  readonly #options: FetchOptions;
  #from = -1;
  #tries = 0;
  #isOver = false;

  constructor(options: FetchOptions) {
    this.#options = options;
  }

  start(): void {
    this.#options.ask(-1);
  }

  take(piece: CorpusPiece): void {
    if (this.#isOver || piece.from !== this.#from) return;
    try {
      if (piece.from < 0) this.#begin(piece);
      else this.#add(piece);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.#fail(`${this.#options.path} cannot be written: ${why}`);
    }
  }

  #partial({ file }: CorpusPiece): string {
    const { path, agent } = this.#options;
    return `${path}.${file.slice(0, 16)}-${agent.replaceAll('/', '-')}.tmp`;
  }

  #begin(piece: CorpusPiece): void {
    const { path } = this.#options;
    if (existsSync(path) && sha256OfFile(path) === piece.file) {
      this.#end();
      return;
    }
    mkdirSync(dirname(path), { recursive: true });
    const held = statSync(this.#partial(piece), { throwIfNoEntry: false })?.size ?? 0;
    this.#next(piece, Math.min(piece.of, held - (held % pieceBytes)));
  }

  #add(piece: CorpusPiece): void {
    const bytes = Buffer.from(piece.bytes, 'base64');
    if (sha256Of(bytes) !== piece.sha256 || bytes.length === 0) {
      this.#again(piece, piece.from, 'a piece of it came damaged');
      return;
    }
    this.#write(piece, bytes);
    this.#next(piece, piece.from + bytes.length);
  }

  #write(piece: CorpusPiece, bytes: Buffer): void {
    const partial = this.#partial(piece);
    const file = openSync(partial, existsSync(partial) ? 'r+' : 'w');
    try {
      for (let at = 0; at < bytes.length;)
        at += writeSync(file, bytes, at, bytes.length - at, piece.from + at);
      if (piece.from + bytes.length === piece.of) fsyncSync(file);
    } finally {
      closeSync(file);
    }
  }

  #next(piece: CorpusPiece, from: number): void {
    this.#from = from;
    if (from < piece.of) {
      this.#options.ask(from);
      return;
    }
    const partial = this.#partial(piece);
    if (sha256OfFile(partial) === piece.file) {
      renameSync(partial, this.#options.path);
      this.#end();
      return;
    }
    rmSync(partial);
    this.#again(piece, 0, 'what lies here of it is damaged');
  }

  #again(piece: CorpusPiece, from: number, why: string): void {
    if (++this.#tries > TRIES) this.#fail(`${why}, ${TRIES} times`);
    else this.#next(piece, from);
  }

  #end(): void {
    this.#isOver = true;
    this.#options.done();
  }

  #fail(why: string): void {
    this.#isOver = true;
    this.#options.failed(
      new TroupeError(
        'TROUPE_DATA_UNREADABLE',
        `the token ids of this run could not be fetched from the lead: ${why}`,
      ),
    );
  }
}
