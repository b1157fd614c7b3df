import { lineageOf, type CheckpointTensor, type ManifestBase } from '@troupe/checkpoint';
import { savedTensors, statesOf } from '@troupe/spec';
import type { Job } from '../job.ts';
import type { StoreEventOf } from './events.ts';
import type { StoreOptions } from './options.ts';

/** Every tensor of a model and what is kept beside it, by global names: the units of a checkpoint, whatever the layout. */
export const checkpointTensors = ({
  model,
  optimizer,
}: Pick<Job, 'model' | 'optimizer'>): readonly CheckpointTensor[] =>
  savedTensors(model, optimizer.kind).flatMap((tensor) => [
    { name: tensor.name, shape: tensor.shape, dtype: 'f32' as const, group: 'weights' as const },
    ...statesOf(tensor).map(({ name, shape }) => ({
      name: tensor.name,
      shape,
      dtype: 'f32' as const,
      group: name,
    })),
  ]);

/** By layer with experts, for the manifest. */
const rowsOf = (groups_LE: Int32Array, experts: number): readonly (readonly number[])[] =>
  Array.from({ length: groups_LE.length / experts }, (_, layer) => [
    ...groups_LE.subarray(layer * experts, (layer + 1) * experts),
  ]);

/** What a checkpoint says of its run. */
export function checkpointBase(
  { job, topology, corpusSha256, resumeFrom }: StoreOptions,
  { step, body, tensors: { groups_LE } }: StoreEventOf<'checkpoint.begin'>,
): ManifestBase {
  return {
    step,
    topology,
    trajectory: {
      adamClock: body.adamClock,
      ...(groups_LE === undefined ? {} : { experts: rowsOf(groups_LE, job.model.moe?.experts ?? 1) }),
    },
    dataCursor: { step },
    rngKeys: { seed: job.seed },
    corpusSha256,
    ...(resumeFrom === null ? {} : { parents: lineageOf(resumeFrom.manifest) }),
  };
}

/**
 * Checkpoints that may be left when this one is there; null: as many as there are.
 *
 * Nobody knows yet whether the next step will find the parameters of this one blown up; then the one before is wanted.
 */
export const checkpointsKept = (
  { keep }: Pick<StoreOptions, 'keep'>,
  { body }: StoreEventOf<'checkpoint.begin'>,
): number | null => {
  if (!body.prunes) return null;
  return body.isLast ? keep : Math.max(2, keep);
};
