import type { Storage } from '@troupe/core';
import { claimFile, type Claim, type ClaimSign } from './claim.ts';

/** Where claims of a run are: its folder. */
interface ClaimPlace {
  readonly storage: Storage;
  /** '' is the root of the storage. */
  readonly folder: string;
}

const claimName = /^lead-(\d+)$/u;

const inFolder = (folder: string, name: string): string => (folder === '' ? name : `${folder}/${name}`);

/** The highest epoch that somebody has claimed; 0: nobody has. */
export async function newestEpoch({ storage, folder }: ClaimPlace): Promise<number> {
  const names = (await storage.exists(folder)) ? await storage.list(folder) : [];
  return names.reduce((newest, name) => Math.max(newest, Number(claimName.exec(name)?.[1] ?? 0)), 0);
}

/**
 * Claims an epoch for a process.
 *
 * LED-1: the file is created exclusively, so one process alone can; a number that is not above all others is nobody's to claim.
 *
 * @returns false when another process has this epoch, or a later one
 */
export async function claimEpoch(place: ClaimPlace, claim: Claim): Promise<boolean> {
  const { storage, folder } = place;
  await storage.makeFolder(folder);
  if ((await newestEpoch(place)) >= claim.epoch) return false;
  const sign: ClaimSign = { ...claim, counter: 0 };
  const bytes = new TextEncoder().encode(`${JSON.stringify(sign)}\n`);
  return storage.createExclusive(inFolder(folder, claimFile(claim.epoch)), bytes);
}
