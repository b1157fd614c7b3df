import { NotBuiltError } from '@troupe/core';
import { diffTrajectory, resolveTopology, type ResolvedTopology } from '@troupe/topology';
import { ResumeDiffersError } from '../errors.ts';
import { jobOf, type RunChoices } from '../job.ts';
import { mustFit } from '../machine-memory.ts';
import { checkTopology } from '../option-rules.ts';
import type { LaunchOptions } from '../launch/launch-options.ts';

/**
 * Whether a run can go on in another layout, before anything is done for it.
 *
 * @throws {ResumeDiffersError} TROUPE_RESUME_DIFFERS naming every key that would change the numbers
 * @throws {NotBuiltError} TROUPE_NOT_BUILT · {MachineMemoryError} TROUPE_MACHINE_MEMORY
 */
export function mustFollow(
  { present, next }: { readonly present: ResolvedTopology; readonly next: ResolvedTopology },
  { purpose = 'train', checkpoints, profile }: LaunchOptions,
  choices: RunChoices,
): void {
  checkTopology('relayout', next);
  if (purpose !== 'train' || checkpoints === null)
    throw new NotBuiltError(
      'a relayout of a run without checkpoints',
      'it goes through one: launch with them',
    );
  if (profile !== undefined)
    throw new NotBuiltError('a relayout of a run that is profiled', 'launch it without --profile');
  const differences = diffTrajectory(present, next);
  if (differences.length > 0) throw new ResumeDiffersError(differences);
  const [before, after] = [present, next].map(({ launcher }) => launcher?.kind ?? 'none');
  if (before !== after)
    throw new NotBuiltError(
      `launcher ${after} for a run that was launched with ${before}`,
      'stop it, and resume it to reach its machines in another way',
    );
  if (after === 'dial' || after === 'kubernetes')
    throw new NotBuiltError(
      'a relayout of a run whose agents dial',
      'stop it, and resume it in the other layout: its agents are started by something else',
    );
  jobOf(next, choices);
  if (next.launcher === null) mustFit(next, 'launch');
}

/**
 * The same with what a run has opened once and keeps: its data, its name, its folder.
 *
 * @param next - that follows the present topology, so that its data are the same
 */
export function keepingOpened(present: ResolvedTopology, next: ResolvedTopology): ResolvedTopology {
  const { name, data, checkpoint, metrics } = present.file;
  const kept = { ...next.checkpoint, dir: checkpoint.dir };
  const { source } = present;
  return {
    ...resolveTopology({ ...next.file, name, data, metrics, checkpoint: kept }),
    source,
    data: present.data,
  };
}
