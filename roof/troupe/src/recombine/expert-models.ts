import type { CheckpointReader, ManifestBase } from '@troupe/checkpoint';
import { lineageOf } from '@troupe/checkpoint';
import { savedTensors, type MoeConfig } from '@troupe/spec';
import type { ResolvedTopology } from '@troupe/topology';
import type { TroupeError } from '@troupe/core';
import type { OpenedRun } from '../open-run.ts';
import type { SourcedTensor } from './tensor-sources.ts';

/** A checkpoint with the topology that it was written under. */
export type ExpertModel = Pick<OpenedRun, 'folder' | 'checkpoint' | 'topology'>;

/**
 * The experts of a model, once it is known that its checkpoint holds them as the topology says.
 *
 * @param error - of a sentence
 * @throws {CheckpointMismatchError} TROUPE_CHECKPOINT_MISMATCH
 */
export function expertsOf(
  { folder, checkpoint, topology }: ExpertModel,
  error: (problem: string) => TroupeError,
): MoeConfig {
  const { moe } = topology.model;
  if (moe === null) throw error(`${folder} is a model without experts (model.moe)`);
  const tensors = savedTensors(topology.model, topology.train.optimizer.kind);
  const known = new Set(tensors.map(({ name }) => name));
  const own = checkpoint.manifest.tensors.find(({ name, expert }) => expert !== null && !known.has(name));
  if (own !== undefined)
    throw error(
      `the experts of ${folder} have parameters of their own ('${own.name}'), which only the program that trained them understands`,
    );
  checkpoint.expectParameters(tensors);
  return moe;
}

/** What the manifest of a checkpoint says that holds weights alone, and begins at step 0. */
export const freshBase = (topology: ResolvedTopology, from: readonly CheckpointReader[]): ManifestBase => ({
  step: 0,
  topology: topology.portable,
  trajectory: { adamClock: 0 },
  dataCursor: { step: 0 },
  rngKeys: { seed: topology.train.seed },
  ...corpusOf(from),
  parents: lineageOf(...from.map(({ manifest }) => manifest)),
});

/** Data are those of the first; a manifest that is older than the key stays silent. */
export function corpusOf([first]: readonly CheckpointReader[]): Pick<ManifestBase, 'corpusSha256'> {
  const corpusSha256 = first?.manifest.corpusSha256;
  return corpusSha256 === undefined ? {} : { corpusSha256 };
}

/** Parameters, not what an optimizer keeps of them. */
export const numParameters = (tensors: readonly SourcedTensor[]): number =>
  tensors
    .filter(({ group }) => group === 'weights')
    .reduce((sum, { shape }) => sum + shape.reduce((product, each) => product * each, 1), 0);
