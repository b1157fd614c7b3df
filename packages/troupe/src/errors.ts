import { TroupeError } from '@troupe/core';
import type { Difference } from '@troupe/topology';

/** A folder that holds no run, or a run without a checkpoint. */
export class RunMissingError extends TroupeError {
  override readonly name = 'RunMissingError';
  constructor(folder: string, hint: string) {
    super('TROUPE_RUN_MISSING', `'${folder}' holds no checkpoint; ${hint}`, { details: { folder } });
  }
}

/** The newest checkpoint of a run, or the one asked for, is damaged; names the tensor or file, and another one to take. */
export class RunDamagedError extends TroupeError {
  override readonly name = 'RunDamagedError';
  constructor(damage: TroupeError, hint: string) {
    super(
      'TROUPE_CHECKPOINT_DAMAGED',
      `${damage.message.replace(/; resume from another one$/u, '')}; ${hint}`,
      {
        details: damage.details,
        cause: damage,
      },
    );
  }
}

const show = (value: unknown): string => (value === undefined ? '(none)' : JSON.stringify(value));

/** A resumed run may not differ from its checkpoint in what decides its numbers. */
export class ResumeDiffersError extends TroupeError {
  override readonly name = 'ResumeDiffersError';
  constructor(differences: readonly Difference[]) {
    const list = differences.map(
      ({ key, before, after }) => `${key} is ${show(before)} in the checkpoint and ${show(after)} now`,
    );
    super(
      'TROUPE_RESUME_DIFFERS',
      `a resumed run must keep model, data and train: ${list.join('; ')}; only machines, parallel, placement, wire, checkpoint, eval and device may change`,
      { details: { keys: differences.map(({ key }) => key) } },
    );
  }
}
