import { closeSync, existsSync, fstatSync, mkdirSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as after } from 'node:timers/promises';
import { CONSOLE, ControlClient, findControl, logNameOf, LOGS, type RunStatus } from 'troupe/control';
import { Ended } from '../errors.ts';
import { detachCommand } from '../fork-command.ts';
import { print, printError, printJson } from '../output.ts';
import type { RunFolder } from './run-folder.ts';

/** A folder that was made for a run, by another process than the one that runs it. */
export type ClaimedFolder = Pick<RunFolder, 'path' | 'made'>;

/** So long a start is watched: what goes wrong at once is told at once. */
const WATCH_MS = 20_000;
const LOOK_MS = 100;
/** Of a start that failed. */
const SAID_MAX = 16_384;

/** The run folder that a process before this one has made for it; null: none. Nobody else is told. */
export function claimedBefore(): ClaimedFolder | null {
  const claimed = process.env['TROUPE_CLAIMED_RUN_FOLDER'];
  delete process.env['TROUPE_CLAIMED_RUN_FOLDER'];
  return claimed === undefined ? null : (JSON.parse(claimed) as ClaimedFolder);
}

/**
 * Starts this command once more, in a session of its own, and leaves it.
 *
 * What it and its workers print goes to the logs of the run folder. A start that fails within seconds is told here, with its exit code.
 *
 * @param claimed - folder of the run; it exists, and nobody holds its lock
 * @throws {Ended} with the exit code of a run that has ended meanwhile
 */
export async function detach(claimed: ClaimedFolder, { json }: { readonly json: boolean }): Promise<void> {
  const { path: folder } = claimed;
  mkdirSync(join(folder, LOGS), { recursive: true });
  // Read here too: a start that fails takes its folder along.
  const console = openSync(join(folder, LOGS, logNameOf(CONSOLE)), 'a+');
  const begin = fstatSync(console).size;
  const args = process.argv.slice(2).filter((each) => each !== '--detach' && each !== '--json');
  const env = { TROUPE_CLAIMED_RUN_FOLDER: JSON.stringify(claimed) };
  const child = detachCommand([...args, '--quiet'], { log: console, env });
  let exit: number | null = null;
  child.on('exit', (code) => (exit = code ?? 1));
  child.on('error', () => (exit = 1));
  const status = await firstLook(folder, child.pid ?? -1, () => exit !== null);
  const said = exit === null ? '' : textFrom(console, begin);
  closeSync(console);
  child.unref();
  if (json)
    printJson({
      event: 'detached',
      folder,
      pid: child.pid,
      state: status?.state ?? 'starting',
      exitCode: exit,
    });
  if (exit !== null) {
    printError(said.trimEnd());
    throw new Ended(exit);
  }
  if (!json)
    print(
      `run folder ${folder}, process ${child.pid}: ${status?.state ?? 'starting'}`,
      `watch it     npx troupe top ${folder}`,
      `look at it   npx troupe status ${folder}`,
      `             npx troupe logs ${folder} --follow`,
      `end it       npx troupe stop ${folder}`,
    );
}

function textFrom(file: number, begin: number): string {
  const bytes = Buffer.alloc(SAID_MAX);
  const from = Math.max(begin, fstatSync(file).size - SAID_MAX);
  return bytes.toString('utf8', 0, readSync(file, bytes, 0, SAID_MAX, from));
}

/** Looks until the run makes steps, has ended, or has taken too long to be waited for: then it is starting still. */
async function firstLook(folder: string, pid: number, hasEnded: () => boolean): Promise<RunStatus | null> {
  let status: RunStatus | null = null;
  for (const endMs = performance.now() + WATCH_MS; performance.now() < endMs && !hasEnded();) {
    await after(LOOK_MS);
    status = (await look(folder, pid)) ?? status;
    if (status !== null && status.state !== 'starting') break;
  }
  return status;
}

async function look(folder: string, pid: number): Promise<RunStatus | null> {
  if (!existsSync(folder)) return null;
  const found = findControl(folder);
  if (found.kind !== 'running' || found.place.process.pid !== pid) return null;
  try {
    const client = await ControlClient.open(found.place);
    return await client.status().finally(() => client.close());
  } catch {
    // It ends this moment; the next look says how.
    return null;
  }
}
