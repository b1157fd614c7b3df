import { OptionError } from '@troupe/core';
import {
  diffTrajectory,
  learningRate,
  resolveTopology,
  warmupSteps,
  type FilledTopology,
  type ResolvedTopology,
} from '@troupe/topology';
import { ResumeDiffersError } from './errors.ts';

/** What a resumed run may do otherwise than its checkpoint; all of it on purpose. */
export interface ResumeChanges {
  /** Overrides `a.b=value` that keep the trajectory; with `resetSchedule` those of the schedule too. */
  readonly set?: readonly string[];
  /** A later last step. The learning rate falls until there; the warm-up stays as many steps as it was. */
  readonly extendTo?: number;
  /** The schedule restarts after the checkpoint's step, for the steps that are left. */
  readonly resetSchedule?: boolean;
}

/** The topology that a run goes on with, and what the changes do to its numbers, in words. */
export interface ResumedTopology {
  readonly topology: ResolvedTopology;
  readonly notes: readonly string[];
}

const scheduleKeys = /^train\.(?:scheduleFrom|optimizer\.(?:lr|lrMin|schedule|warmup|decay))$/u;
const extensionKeys = /^train\.(?:steps|optimizer\.warmup)$/u;

/** What a run did before these keys existed: a manifest that lacks one was written by code that did this, whatever the default is now. */
const earlier = {
  train: { maxSkipped: 0, scheduleFrom: 0, recompute: 'none', tensorSegments: 1, labelSmoothing: 0 },
  model: { mla: null, encoder: null, positions: 'rotary', relative: { buckets: 32, maxDistance: 128 } },
  moe: { firstDense: 0, norm: false },
  router: {
    groups: 1,
    topGroups: 1,
    scale: 1,
    groupSequences: 256,
    generate: 'refuse',
    sampling: 'none',
    jitter: 0,
  },
  balance: { domain: 1 },
} as const;

const restored = (file: FilledTopology): FilledTopology => {
  const { moe } = file.model;
  const model = { ...earlier.model, ...file.model };
  return {
    ...file,
    train: { ...earlier.train, ...file.train },
    model:
      moe === null
        ? model
        : {
            ...model,
            moe: {
              ...earlier.moe,
              ...moe,
              router: { ...earlier.router, ...moe.router },
              balance: { ...earlier.balance, ...moe.balance },
            },
          },
  };
};

/** Overrides that carry out the changes, before those of the user. */
function overrides(before: ResolvedTopology, step: number, changes: ResumeChanges): readonly string[] {
  const { extendTo, resetSchedule = false, set = [] } = changes;
  const { optimizer, scheduleFrom } = before.train;
  const found: string[] = [];
  if (extendTo !== undefined) {
    found.push(`train.steps=${extendTo}`);
    if (!resetSchedule)
      found.push(`train.optimizer.warmup=${warmupSteps(before.train) / (extendTo - scheduleFrom)}`);
  }
  if (!resetSchedule) return found;
  found.push(`train.scheduleFrom=${step}`);
  const lr = set
    .findLast((each) => each.startsWith('train.optimizer.lr='))
    ?.slice('train.optimizer.lr='.length);
  // A lowest rate that followed from the highest one goes on to follow it.
  if (lr !== undefined && optimizer.lrMin === optimizer.lr / 10 && Number(lr) > 0)
    found.push(`train.optimizer.lrMin=${Number(lr) / 10}`);
  return found;
}

/**
 * The topology of a checkpoint with what a run changes of it.
 *
 * @param written - by the manifest
 * @param step - that the checkpoint holds
 * @throws {ResumeDiffersError} TROUPE_RESUME_DIFFERS naming every key that would change the numbers and was not asked for
 * @throws {OptionError} TROUPE_OPTION when the last step would not be later
 */
export function resumedTopology(
  written: FilledTopology,
  step: number,
  changes: ResumeChanges,
): ResumedTopology {
  const file = restored(written);
  const { set = [], extendTo, resetSchedule = false } = changes;
  const before = resolveTopology(file);
  const { steps } = before.train;
  if (extendTo !== undefined && extendTo <= steps)
    throw new OptionError('openRun', [
      `extendTo (--extend-to) is ${extendTo}, and the run has ${steps} steps already`,
    ]);
  if (resetSchedule && step >= (extendTo ?? steps))
    throw new OptionError('openRun', [
      `resetSchedule (--reset-schedule) leaves no step: the checkpoint holds step ${step} of ${steps}; extend the run too (--extend-to)`,
    ]);
  const all = [...overrides(before, step, changes), ...set];
  const topology = all.length === 0 ? before : resolveTopology(file, { set: all });
  const differences = diffTrajectory(before, topology).filter(
    ({ key }) =>
      !(extendTo !== undefined && extensionKeys.test(key)) && !(resetSchedule && scheduleKeys.test(key)),
  );
  if (differences.length > 0) throw new ResumeDiffersError(differences);
  return { topology, notes: notesOf(before, topology, step, changes) };
}

function notesOf(
  before: ResolvedTopology,
  { train }: ResolvedTopology,
  step: number,
  { extendTo, resetSchedule = false }: ResumeChanges,
): readonly string[] {
  if (extendTo === undefined && !resetSchedule) return [];
  const was =
    step < before.train.steps ? `instead of ${learningRate(before.train, step + 1)}` : 'and falls again';
  const rate = `the learning rate of step ${step + 1} is ${learningRate(train, step + 1)} ${was}`;
  return [
    resetSchedule
      ? `the schedule restarts after step ${step}, for ${train.steps - step} steps; weights, moments and data go on; ${rate}`
      : `the schedule ends after step ${train.steps} instead of ${before.train.steps}; ${rate}`,
  ];
}
