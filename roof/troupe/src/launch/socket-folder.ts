import { accessSync, constants, readdirSync, rmSync, statSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TroupeError } from '@troupe/core';
import { ipcPathBytesMax } from '@troupe/transport';

/** Folders of sockets are named so, and six letters of the system's; nothing else in a temporary folder is. */
const PREFIX = 'troupe-run-';
const RANDOM_LETTERS = 6;
/** The longest name of a socket inside. */
const LONGEST_NAME = 'w999999.control';
/** A run binds its first socket moments after it has made the folder. */
const EMPTY_MS = 600_000;

const isShortEnough = (parent: string): boolean =>
  Buffer.byteLength(join(parent, `${PREFIX}${'x'.repeat(RANDOM_LETTERS)}`, LONGEST_NAME)) <= ipcPathBytesMax;

/** The temporary folder, and short ones in its place: the path of a socket has about a hundred bytes. */
const parents = (): readonly string[] => [...new Set([tmpdir(), '/tmp', '/var/tmp', '/dev/shm'])];

/**
 * Makes the folder of a run's sockets, which only this user can enter, and removes those of runs that were killed.
 *
 * @throws {TroupeError} TROUPE_STORAGE_DENIED when there is no folder for it
 */
export async function makeSocketFolder(): Promise<string> {
  const found: string[] = [];
  for (const parent of parents()) {
    if (!isShortEnough(parent)) {
      found.push(`${parent}: ${Buffer.byteLength(parent)} bytes are too many for the path of a socket`);
      continue;
    }
    await removeAbandoned(parent);
    try {
      return await mkdtemp(join(parent, PREFIX));
    } catch (error) {
      found.push(`${parent}: ${(error as NodeJS.ErrnoException).code ?? String(error)}`);
    }
  }
  throw new TroupeError(
    'TROUPE_STORAGE_DENIED',
    `no temporary folder for the sockets of a run (${found.join('; ')}); point TMPDIR at a short path that can be written, or set wire.port`,
  );
}

/** Removes the socket folders of this user in which nobody listens any more: a run that was killed leaves its own. */
export async function removeAbandoned(parent: string): Promise<void> {
  let names: readonly string[];
  try {
    accessSync(parent, constants.W_OK);
    names = readdirSync(parent).filter((name) => name.startsWith(PREFIX));
  } catch {
    return;
  }
  await Promise.all(
    names.map(async (name) => {
      const folder = join(parent, name);
      // It may go away meanwhile, or be another user's.
      const isGone = await isAbandoned(folder).catch(() => false);
      if (isGone) rmSync(folder, { recursive: true, force: true });
    }),
  );
}

async function isAbandoned(folder: string): Promise<boolean> {
  const { uid, mtimeMs } = statSync(folder);
  if (uid !== process.getuid?.()) return false;
  const sockets = readdirSync(folder);
  if (sockets.length === 0) return Date.now() - mtimeMs > EMPTY_MS;
  const answers = await Promise.all(sockets.map((name) => answersAt(join(folder, name))));
  return !answers.includes(true);
}

/** Whether somebody listens: asked of the socket, since a process id may mean another process by now, or one in another container. */
const answersAt = (path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code !== 'ECONNREFUSED'));
  });
