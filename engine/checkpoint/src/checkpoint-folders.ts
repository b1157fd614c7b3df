import { assert } from '@troupe/core';

/** Name of the folder of one step: `step-000300`. */
export function stepFolder(step: number): string {
  assert(Number.isSafeInteger(step) && step >= 0, 'a step is a count', { step });
  return `step-${String(step).padStart(6, '0')}`;
}

/**
 * Names beside `step-000300`: `.partial` is being written, `.removing` is being removed, `.replaced` is the earlier
 * checkpoint of a step that is written a second time, and counts until the new one is in place.
 */
export const folderSuffix = { partial: '.partial', replaced: '.replaced', removing: '.removing' } as const;

/** A folder that may hold a complete checkpoint. */
export interface CheckpointFolder {
  readonly name: string;
  readonly step: number;
  readonly isReplaced: boolean;
}

/** The checkpoints among the names of a folder, newest first, a replaced one after its successor. */
export function checkpointFolders(names: readonly string[]): readonly CheckpointFolder[] {
  const folders = names.flatMap((name): CheckpointFolder[] => {
    const match = /^step-(\d{6,})(\.replaced)?$/u.exec(name);
    return match === null ? [] : [{ name, step: Number(match[1]), isReplaced: match[2] !== undefined }];
  });
  return folders.sort((a, b) => b.step - a.step || Number(a.isReplaced) - Number(b.isReplaced));
}

/** What a crash can leave behind and nobody needs. */
export const isLeftover = (name: string): boolean => /^step-\d{6,}\.(?:partial|removing)$/u.test(name);

/** `name` inside `folder`; the root of a storage is ''. */
export const inFolder = (folder: string, name: string): string =>
  folder === '' ? name : `${folder}/${name}`;
