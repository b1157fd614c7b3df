import type { Job } from '@troupe/actors';
import { CheckpointMismatchError, type CheckpointReader } from '@troupe/checkpoint';
import { moeLayers, savedTensors, statesOf } from '@troupe/spec';
import { diffValues, type ResolvedTopology } from '@troupe/topology';
import type { RunChoices } from './job.ts';

/** Where the state of a run's first step comes from; neither: from the seed. */
export interface FirstState {
  /** The checkpoint to go on from: weights, moments, step, corpus and tokenizer. */
  readonly resumeFrom?: CheckpointReader;
  /** Weights to start with: the optimizer, the schedule and the data restart. Not together with `resumeFrom`. */
  readonly weightsFrom?: CheckpointReader;
}

export function firstOf(
  { resumeFrom, weightsFrom }: FirstState,
  topology: ResolvedTopology,
): RunChoices['first'] {
  if (weightsFrom !== undefined) return { step: 0, adamClock: 0, from: 'weights' };
  if (resumeFrom === undefined) return { step: 0, adamClock: 0, from: 'seed' };
  const { step, trajectory } = resumeFrom.manifest;
  const { adamClock, experts } = trajectory as { readonly adamClock: number; readonly experts?: unknown };
  return {
    step,
    adamClock,
    from: 'checkpoint',
    ...(sitsIn(topology, experts) ? { experts } : {}),
  };
}

/** Whether experts that had moved may sit in the groups of a run, which are as many and as large; else they are dealt again. */
function sitsIn(
  { model, parallel }: ResolvedTopology,
  experts: unknown,
): experts is readonly (readonly number[])[] {
  if (parallel.experts !== 'balanced' || !Array.isArray(experts)) return false;
  const rows = experts as readonly unknown[];
  const each = model.moe?.experts ?? 0;
  const hasAll = (row: unknown): boolean =>
    Array.isArray(row) &&
    row.length === each &&
    Array.from({ length: parallel.ep }, (_, group) => row.filter((of) => of === group).length).every(
      (size) => size === each / parallel.ep,
    );
  return rows.length === moeLayers(model).length && rows.every(hasAll);
}

/**
 * Compares a checkpoint with the model of a job before anything starts.
 *
 * @throws {CheckpointMismatchError} TROUPE_CHECKPOINT_MISMATCH naming every tensor that is missing, extra or of another shape
 */
export function checkpointMustFit({ model, optimizer }: Job, { resumeFrom, weightsFrom }: FirstState): void {
  const tensors = savedTensors(model, optimizer.kind);
  weightsFrom?.expectParameters(tensors);
  if (resumeFrom === undefined) return;
  if (resumeFrom.manifest.tensors.every(({ group }) => group === 'weights'))
    throw new CheckpointMismatchError(resumeFrom.folder, [
      'it holds weights alone, and resuming takes the state of the optimizer too; start a run with them: troupe launch FILE --from CHECKPOINT',
    ]);
  resumeFrom.expectTensors(
    tensors.flatMap((tensor) => [
      { ...tensor, group: 'weights' as const },
      ...statesOf(tensor).map((state) => ({ name: tensor.name, shape: state.shape, group: state.name })),
    ]),
  );
}

/** Keys of `model` that say how training begins or what it adds to the loss: weights mean the same whatever they say. */
const trainingKeys = /^(?:init|moe\.balance)(?:\.|$)/u;

/** Keys at which weights were trained as another model than the topology's, in words; tensors have the same shapes all the same. */
export function modelDifferences(
  weightsFrom: CheckpointReader,
  { file }: ResolvedTopology,
): readonly string[] {
  const { model } = (weightsFrom.manifest.topology ?? {}) as { readonly model?: object };
  if (model === undefined) return [];
  return diffValues(model, file.model)
    .filter(
      ({ key, before, after }) => before !== undefined && after !== undefined && !trainingKeys.test(key),
    )
    .map(
      ({ key, before, after }) =>
        `model.${key} is ${JSON.stringify(before)} in the checkpoint and ${JSON.stringify(after)} here`,
    );
}
