import { existsSync, renameSync } from 'node:fs';
import { readRunAtRest } from 'troupe/control';
import { exitCodes } from 'troupe/launch';

/** Ends after which a run may go on: what failed may pass, or it was asked to stop. */
const mayGoOn = (exitCode: number): boolean =>
  exitCode === exitCodes.temporary || exitCode === exitCodes.peerLost || exitCode >= exitCodes.hungUp;

/**
 * How the run in a folder has ended for good; null: it has not, or there is none.
 *
 * DIL-6: the end of a run is recorded in its folder, and who comes later ends at once as it did.
 */
export async function endedBefore(folder: string | undefined): Promise<number | null> {
  if (folder === undefined || !existsSync(folder)) return null;
  const { exitCode } = await readRunAtRest(folder);
  return exitCode === null || mayGoOn(exitCode) ? null : exitCode;
}

/**
 * Whether a run goes on in a folder. One that came to no checkpoint is put aside, so that its folder is free.
 */
export async function goesOn(folder: string | undefined): Promise<boolean> {
  if (folder === undefined || !existsSync(folder)) return false;
  const { checkpoint } = await readRunAtRest(folder);
  if (checkpoint !== null) return true;
  let life = 0;
  while (existsSync(`${folder}.without-checkpoint-${life}`)) life++;
  renameSync(folder, `${folder}.without-checkpoint-${life}`);
  return false;
}
