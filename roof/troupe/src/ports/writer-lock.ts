import { randomUUID } from 'node:crypto';
import {
  linkSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { FolderLock } from '@troupe/core';
import { RunLockedError } from '../errors.ts';
import { storageError } from './storage-error.ts';
import { isRunning, ownIdentity, type ProcessIdentity } from './process-identity.ts';

/** What a lock file holds: who writes the folder, or that its owner has given it back. */
interface Owner extends ProcessIdentity {
  /** For people. */
  readonly since: string;
}

const lockName = /^writer-(\d{6,})\.lock$/u;
const nameOf = (turn: number): string => `writer-${String(turn).padStart(6, '0')}.lock`;

/** How often an owner gives a sign of life, for those who cannot see its process. */
const SIGN_MS = 30_000;
/** An owner that cannot be seen from here counts as gone after so long without a sign. */
export const SILENCE_MS = 600_000;
/** Others may be faster so many times. */
const TRIES = 100;

const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? '';

/** Turns that were ever taken and not cleared away, the newest first. */
const turnsIn = (folder: string): readonly number[] =>
  readdirSync(folder)
    .flatMap((name) => lockName.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => b - a);

/**
 * Why nobody else may write a folder, or null when its last owner is gone or has given it back.
 *
 * @throws what reading the file throws, ENOENT among it: it was cleared away meanwhile
 */
function reasonToWait(path: string): { readonly owner: Partial<Owner>; readonly isSeen: boolean } | null {
  let owner: Owner | null;
  try {
    owner = JSON.parse(readFileSync(path, 'utf8')) as Owner | null;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    // Being written, or what a loss of power left of it.
    owner = {} as Owner;
  }
  if (owner === null) return null;
  const runs = owner.pid === undefined ? 'unknown' : isRunning(owner);
  if (runs === false) return null;
  if (runs === true) return { owner, isSeen: true };
  return Date.now() - statSync(path).mtimeMs > SILENCE_MS ? null : { owner, isSeen: false };
}

/** Makes `path` with all of `text` at once, unless it exists. */
function createWhole(folder: string, path: string, text: string): boolean {
  const aside = join(folder, `.writer.${randomUUID()}.pending`);
  try {
    writeFileSync(aside, text, { flag: 'wx' });
    try {
      linkSync(aside, path);
    } catch (error) {
      if (codeOf(error) === 'EEXIST') return false;
      // A file system without links: the file is there first and its text a moment later, and counts as taken meanwhile.
      writeFileSync(path, text, { flag: 'wx' });
    }
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  } finally {
    rmSync(aside, { force: true });
  }
}

/**
 * Makes this process the only writer of a folder.
 *
 * LCK-1: turns are numbered and the highest is never cleared away, so of all who find its owner gone one alone can take the next: there is
 * no moment in which a lock is removed that somebody else has just taken. LCK-2: an owner is gone when no process with its id and its start
 * runs in its numbering; where that cannot be seen, when it gave no sign for ten minutes.
 *
 * @param folder - exists
 * @param lost - called once when another process took this one for gone, after it was stopped for long: it may write no more
 * @throws {RunLockedError} TROUPE_RUN_LOCKED naming who writes it
 */
export function lockFolder(folder: string, lost: () => void = () => {}): FolderLock {
  try {
    for (let tries = 0; tries < TRIES; tries++) {
      const turn = takeTurn(folder);
      if (turn !== null) return new WriterLock(folder, turn, lost);
    }
  } catch (error) {
    throw storageError(folder, error);
  }
  throw new RunLockedError(folder, 'others take it again and again');
}

/** The process that writes a folder now; null: none does, as far as can be seen from here. */
export function writerOf(folder: string): ProcessIdentity | null {
  const [newest] = turnsIn(folder);
  if (newest === undefined) return null;
  try {
    const { owner } = reasonToWait(join(folder, nameOf(newest))) ?? {};
    return owner?.pid === undefined ? null : (owner as ProcessIdentity);
  } catch (error) {
    // It was given back, and another one taken, this moment.
    if (codeOf(error) === 'ENOENT') return null;
    throw error;
  }
}

/** The turn that was taken; null when another process was faster. */
function takeTurn(folder: string): number | null {
  const turns = turnsIn(folder);
  const newest = turns[0] ?? 0;
  if (newest > 0) {
    try {
      const waits = reasonToWait(join(folder, nameOf(newest)));
      if (waits !== null) throw new RunLockedError(folder, describe(waits, join(folder, nameOf(newest))));
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return null;
      throw error;
    }
  }
  const owner: Owner = { ...ownIdentity(), since: new Date().toISOString() };
  if (!createWhole(folder, join(folder, nameOf(newest + 1)), `${JSON.stringify(owner)}\n`)) return null;
  for (const turn of turns) rmSync(join(folder, nameOf(turn)), { force: true });
  return newest + 1;
}

function describe({ owner, isSeen }: NonNullable<ReturnType<typeof reasonToWait>>, path: string): string {
  const { pid, host, since } = owner;
  const who = pid === undefined ? 'a process' : `process ${pid} on ${host}, since ${since},`;
  return isSeen
    ? `${who} writes it; wait until it ends, or end it`
    : `${who} writes it, and whether it still runs cannot be seen from here: it counts as gone after ${SILENCE_MS / 60_000} minutes without a sign; if it is gone, remove ${path}`;
}

class WriterLock implements FolderLock {
  readonly #folder: string;
  readonly #turn: number;
  readonly #signs: NodeJS.Timeout;
  #isHeld = true;

  constructor(folder: string, turn: number, lost: () => void) {
    this.#folder = folder;
    this.#turn = turn;
    this.#signs = setInterval(() => this.#sign(lost), SIGN_MS);
    this.#signs.unref();
  }

  get #path(): string {
    return join(this.#folder, nameOf(this.#turn));
  }

  async release(): Promise<void> {
    this.#end(() => {
      const aside = join(this.#folder, `.writer.${randomUUID()}.pending`);
      writeFileSync(aside, 'null\n');
      renameSync(aside, this.#path);
    });
  }

  async remove(): Promise<void> {
    this.#end(() => rmSync(this.#path, { force: true }));
  }

  /** A folder that was removed meanwhile, or a full disk: the process ends soon, and counts as gone for the next writer. */
  #end(act: () => void): void {
    clearInterval(this.#signs);
    if (!this.#isHeld) return;
    this.#isHeld = false;
    try {
      if (turnsIn(this.#folder)[0] === this.#turn) act();
    } catch {
      // See above.
    }
  }

  #sign(lost: () => void): void {
    try {
      const now = new Date();
      if (turnsIn(this.#folder)[0] === this.#turn) utimesSync(this.#path, now, now);
      else {
        this.#isHeld = false;
        clearInterval(this.#signs);
        lost();
      }
    } catch {
      // A disk that does not answer for a moment; the next sign may come through.
    }
  }
}
