import { hkdfSync, randomBytes } from 'node:crypto';
import { closeSync, fstatSync, openSync, readFileSync, writeSync } from 'node:fs';
import { RunKeyError } from '../errors.ts';

const KEY_BYTES = 32;
/** Of a file that holds a key, and of one that holds something else. */
const FILE_BYTES_MAX = 4096;
const pattern = /^troupe-key-1 ([A-Za-z0-9_-]{43})\n?$/u;

const derive = (key: Uint8Array, salt: string, means: string): Buffer =>
  Buffer.from(hkdfSync('sha256', key, salt, means, KEY_BYTES));

/**
 * The secret that the machines of a run share, from which each has a key of its own.
 *
 * It is in a file that its owner alone can read; it is printed nowhere, whatever it is put into.
 */
export class RunKey {
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /**
   * What one machine proves itself with in one meeting.
   *
   * @param meeting - name of it, new every time the lead begins to listen, so that nothing recorded serves again
   */
  ofMachine(machine: number, meeting: string): Uint8Array {
    return derive(derive(this.#bytes, '', `troupe machine ${machine}`), meeting, 'troupe dial');
  }
}

/** A new key, as its file has it. */
export const newRunKey = (): string => `troupe-key-1 ${randomBytes(KEY_BYTES).toString('base64url')}\n`;

/**
 * Writes a new key to a file that does not exist yet and that nobody else can read.
 *
 * @throws {RunKeyError} TROUPE_KEY
 */
export function makeRunKey(path: string): void {
  let file: number;
  try {
    file = openSync(path, 'wx', 0o600);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new RunKeyError(
      code === 'EEXIST'
        ? `'${path}' exists, and a key is never written over; choose another file, or remove it`
        : `cannot write the key to '${path}' (${code})`,
    );
  }
  try {
    writeSync(file, newRunKey());
  } finally {
    closeSync(file);
  }
}

/**
 * Reads the key of a run.
 *
 * DIL-3: a file that others can read is refused. Of a file of another owner, as Kubernetes mounts a Secret for a group of the pod, the
 * group may read it: who runs the program cannot change that.
 *
 * @throws {RunKeyError} TROUPE_KEY
 */
export function readRunKey(path: string): RunKey {
  let text: string;
  let file: number | null = null;
  try {
    file = openSync(path, 'r');
    const { mode, size, uid } = fstatSync(file);
    const open = uid === process.getuid?.() ? 0o077 : 0o007;
    if ((mode & open) !== 0)
      throw new RunKeyError(
        `others can read the key file '${path}' (mode ${(mode & 0o777).toString(8).padStart(4, '0')}); make it yours alone: chmod 600 '${path}'`,
      );
    text = size > FILE_BYTES_MAX ? '' : readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof RunKeyError) throw error;
    throw new RunKeyError(`cannot read the key file '${path}' (${(error as NodeJS.ErrnoException).code})`);
  } finally {
    if (file !== null) closeSync(file);
  }
  const [, key] = pattern.exec(text) ?? [];
  if (key === undefined)
    throw new RunKeyError(`'${path}' holds no key of a run; npx troupe key new FILE makes one`);
  return new RunKey(Buffer.from(key, 'base64url'));
}

/**
 * The key of the file that the environment names, which forgets it: what this process starts is not told.
 *
 * @throws {RunKeyError} TROUPE_KEY
 */
export function takeRunKey(env: NodeJS.ProcessEnv): RunKey {
  const path = env['TROUPE_KEY_FILE'];
  delete env['TROUPE_KEY_FILE'];
  if (path === undefined || path === '')
    throw new RunKeyError(
      'TROUPE_KEY_FILE names no key file; make one with npx troupe key new FILE, and give the same to all machines of the run',
    );
  return readRunKey(path);
}
