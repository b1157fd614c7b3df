import { existsSync, statSync } from 'node:fs';
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';
import {
  checkpointFolders,
  latestCheckpoint,
  MANIFEST_FILE,
  openCheckpoint,
  type CheckpointReader,
  type OpenOptions,
} from '@troupe/checkpoint';
import { OptionError, TroupeError, type FolderLock, type Storage } from '@troupe/core';
import { type FilledTopology, type ResolvedTopology } from '@troupe/topology';
import { absoluteSource } from './parallel-data.ts';
import { RunDamagedError, RunMissingError } from './errors.ts';
import {
  check,
  checkOptions,
  listOf,
  oneOf,
  rule,
  text,
  wholeNumber,
  type OptionRules,
} from './option-rules.ts';
import { fileStorage } from './ports/file-storage.ts';
import { resumedTopology, type ResumeChanges } from './resumed-topology.ts';
import { lockFolder } from './ports/writer-lock.ts';

/** A run on this machine's disk, opened at one of its checkpoints. Close `checkpoint` after use. */
export interface OpenedRun {
  /** Of the run, as given. */
  readonly folder: string;
  readonly checkpoint: CheckpointReader;
  /** The topology that the checkpoint was written under, with the overrides of {@link OpenRunOptions.set}. */
  readonly topology: ResolvedTopology;
  /** What changes on purpose do to the numbers, in words. */
  readonly notes: readonly string[];
}

export interface OpenRunOptions extends Pick<OpenOptions, 'verify'>, ResumeChanges {
  /** Name of one checkpoint, `step-000100`; default: the newest. */
  readonly checkpoint?: string;
  /** Refuses `checkpoint` unless it is the newest: for a run that goes another way than the newer ones did. */
  readonly isNewest?: boolean;
}

const rules: OptionRules<OpenRunOptions> = {
  verify: oneOf('full', 'lazy'),
  checkpoint: text('the name of a checkpoint, such as step-000100'),
  isNewest: rule('true or false', (value) => typeof value === 'boolean'),
  extendTo: wholeNumber(1, 'the new last step'),
  resetSchedule: rule('true or false', (value) => typeof value === 'boolean'),
  set: listOf(text("an override such as 'eval.every=10'"), 'a list of overrides'),
};

/**
 * Opens a run at its newest checkpoint, or at the one asked for.
 *
 * RUN-1: a damaged newest checkpoint is never passed over in silence: losing steps is the user's choice.
 *
 * @throws {OptionError} TROUPE_OPTION with every argument that is not what it has to be
 * @throws {RunMissingError} TROUPE_RUN_MISSING
 * @throws {RunDamagedError} TROUPE_CHECKPOINT_DAMAGED naming the tensor or file, and the checkpoint to ask for instead
 * @throws {ResumeDiffersError} TROUPE_RESUME_DIFFERS when `set` would change the numbers
 */
export async function openRun(folder: string, options: OpenRunOptions = {}): Promise<OpenedRun> {
  check('openRun', 'folder', folder, text('the path of a folder'));
  checkOptions('openRun', options, rules);
  const checkpoint = await openOne(fileStorage(folder), folder, options);
  try {
    const file = checkpoint.manifest.topology as FilledTopology;
    const { topology, notes } = resumedTopology(file, checkpoint.manifest.step, options);
    return { folder, checkpoint, topology: withAbsolutePaths(topology), notes };
  } catch (error) {
    await checkpoint.close();
    throw error;
  }
}

/**
 * Opens the checkpoint that a path names: of a run its newest one, `runs/x/step-000100`, or any other folder with a manifest.
 *
 * @throws as {@link openRun}
 */
export async function openCheckpointAt(
  path: string,
  options: Pick<OpenRunOptions, 'verify'> = {},
): Promise<CheckpointReader> {
  const { folder, checkpoint } = runOfPath(path);
  return openOne(fileStorage(folder), folder, {
    ...options,
    ...(checkpoint === null ? {} : { checkpoint }),
  });
}

/**
 * Makes this process the only writer of a run, until the lock is given back. A folder that is no run is left as it is.
 *
 * @param checkpoint - that is about to be opened, when one was asked for
 * @param lost - called when another process took over; this one may write no more
 * @throws {RunMissingError} TROUPE_RUN_MISSING · {@link RunLockedError} TROUPE_RUN_LOCKED
 */
export async function lockRun(
  folder: string,
  checkpoint: string | null,
  lost: () => void,
): Promise<FolderLock> {
  await namesIn(fileStorage(folder), folder, checkpoint);
  return lockFolder(folder, lost);
}

/** Names of the checkpoints of a run, the newest first, and last the one that is asked for if it lies there under another name. */
async function namesIn(storage: Storage, folder: string, asked: string | null): Promise<readonly string[]> {
  if (!existsSync(folder)) throw new RunMissingError(folder, 'there is no such folder');
  const hint = 'name the folder of a run: it holds folders like step-000100';
  if (!statSync(folder).isDirectory()) throw new RunMissingError(folder, `it is a file; ${hint}`);
  const found = checkpointFolders(await storage.list('')).map(({ name }) => name);
  const isElsewhere =
    asked !== null && !found.includes(asked) && (await storage.exists(`${asked}/${MANIFEST_FILE}`));
  const names = isElsewhere ? [...found, asked] : found;
  if (names.length === 0) throw new RunMissingError(folder, hint);
  return names;
}

async function openOne(storage: Storage, folder: string, options: OpenRunOptions): Promise<CheckpointReader> {
  const open: OpenOptions = { verify: options.verify ?? 'full' };
  const asked = options.checkpoint;
  const names = await namesIn(storage, folder, asked ?? null);
  if (asked !== undefined && options.isNewest === true && names.includes(asked) && names[0] !== asked)
    throw new OptionError('openRun', [
      `checkpoint is ${asked}, and ${folder} also holds ${names[0]} of the run as it went: what changes its numbers goes on from the newest; copy ${asked} to a folder of its own and resume it there`,
    ]);
  if (asked === undefined) {
    const { checkpoint, damaged } = await latestCheckpoint(storage, '', open);
    const [newest] = damaged;
    if (newest === undefined && checkpoint !== null) return checkpoint;
    await checkpoint?.close();
    const hint =
      checkpoint === null
        ? 'no other checkpoint of this run is intact'
        : `to go on from an older one, pass --checkpoint ${checkpoint.folder}`;
    throw newest === undefined ? new RunMissingError(folder, hint) : new RunDamagedError(newest.error, hint);
  }
  if (!names.includes(asked))
    throw new RunMissingError(`${folder}/${asked}`, `there are ${names.join(', ')}`);
  try {
    return await openCheckpoint(storage, asked, open);
  } catch (error) {
    if (!(error instanceof TroupeError) || error.code !== 'TROUPE_CHECKPOINT_DAMAGED') throw error;
    const others = names.filter((name) => name !== asked);
    throw new RunDamagedError(
      error,
      others.length === 0 ? 'the run has no other one' : `the run also has ${others.join(', ')}`,
    );
  }
}

/**
 * The same topology with the paths of its data written out in full, so that a checkpoint can be resumed from any folder.
 *
 * A path in a topology file is relative to that file; in a manifest there is no such file any more.
 */
export function withAbsolutePaths(topology: ResolvedTopology): ResolvedTopology {
  const { source, tokenizer } = topology.data;
  const absolute = (path: string): string => (isAbsolute(path) ? path : resolve(path));
  const data = { ...topology.file.data };
  const located = absoluteSource(source, absolute);
  if ('paths' in located) {
    const { kind, paths } = located;
    Object.assign(data, { [kind]: paths.length === 1 ? paths[0] : paths });
  }
  if (located.kind === 'parallel') Object.assign(data, { parallel: located.sources });
  const file = tokenizer.file === null ? null : absolute(tokenizer.file);
  if (file !== null) data.tokenizer = { ...data.tokenizer, file };
  return {
    ...topology,
    data: {
      ...topology.data,
      source: located,
      tokenizer: { ...tokenizer, file },
    },
    file: { ...topology.file, data },
    portable: { ...topology.portable, data },
  };
}

/** `runs/quickstart/step-000100` is the run `runs/quickstart` at one checkpoint, and so is any folder with a manifest; another path is a run. */
export function runOfPath(path: string): { readonly folder: string; readonly checkpoint: string | null } {
  const trimmed = path.replace(/\/+$/u, '');
  const isCheckpoint = /(?:^|\/)step-\d{6,}$/u.test(trimmed) || existsSync(join(trimmed, MANIFEST_FILE));
  // `.` has a name of its own only when it is written out.
  const named = /(?:^|\/)\.{1,2}$/u.test(trimmed) ? resolve(trimmed) : trimmed;
  return isCheckpoint
    ? { folder: dirname(named), checkpoint: basename(named) }
    : { folder: trimmed === '' ? path : trimmed, checkpoint: null };
}
