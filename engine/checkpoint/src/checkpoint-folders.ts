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

/** What a crash can leave behind and nobody needs; parts of machines among it. */
export const isLeftover = (name: string): boolean =>
  /^step-\d{6,}(?:\.m\d+\.l\d+\.a\d+)?\.(?:partial|removing)$/u.test(name);

/** Whose part of a checkpoint it is, and of when: a machine, the life of its agent, and the attempt. */
export interface PartOf {
  readonly step: number;
  readonly machine: number;
  readonly life: number;
  readonly attempt: number;
}

/** Name of the folder in which a machine's store writes its part: `step-000300.m1.l1.a2.partial`. */
export const partFolder = ({ step, machine, life, attempt }: PartOf): string =>
  `${stepFolder(step)}.m${machine}.l${life}.a${attempt}${folderSuffix.partial}`;

/** Whether a folder is what a machine's store has begun; its own is all that it may remove. */
export const isPartOf = (name: string, machine: number): boolean =>
  isLeftover(name) && name.split('.')[1] === `m${machine}`;

/** `name` inside `folder`; the root of a storage is ''. */
export const inFolder = (folder: string, name: string): string =>
  folder === '' ? name : `${folder}/${name}`;
