import { FlatGradients, leavesOf, gradientRuns, type GradientKind, type GradientSlice } from '@troupe/model';
import type { Unit } from '@troupe/spec';
import type { ParameterGroup } from '@troupe/topology/layout';
import type { Job } from './job.ts';
import type { Worker } from './worker.ts';

/** Where those who compute put the gradients of a parameter group, and where its shard finds them. */
export type GradientSink = Pick<FlatGradients, 'of' | 'slices' | 'sum' | 'reset' | 'overflow'>;

/**
 * How a unit's gradient accumulates: *stored* if one call makes it, *begun* if only this device adds, else *added*. A tied embedding has two
 * calls; an own expert may make any number of them, and only ever adds.
 */
function gradientKind(job: Job, { reader, holders }: ParameterGroup): (unit: Unit) => GradientKind {
  const hasOwnCalls = reader === 'experts' && job.expert !== undefined;
  if (hasOwnCalls || holders.count > 1) return () => 'added';
  if (job.layout.dealing.microbatches > 1) return () => 'begun';
  return ({ id }) => (job.model.tiedHead && id === 'embed' ? 'begun' : 'stored');
}

/** How the gradients of a group's buffer come together, part by part. */
export const sumsOf = (job: Job, group: ParameterGroup): readonly Omit<GradientSlice, 'values'>[] =>
  gradientRuns(group.flat, gradientKind(job, group));

/** One buffer in which the stage or the experts of a worker add, and which the shard beside them reads. */
export function sharedGradients({ job, device }: Worker, group: ParameterGroup): GradientSink {
  return new FlatGradients(device, group.flat, {
    kindOf: gradientKind(job, group),
    leavesOf: leavesOf(job.model, job.layout.dealing.grains),
  });
}
