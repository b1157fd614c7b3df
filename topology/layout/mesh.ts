import { assert } from '@troupe/core';
import { Holders } from './holders.ts';
import {
  dataRank,
  expertGroupId,
  stageIndex,
  tensorRank,
  workerRank,
  type DataRank,
  type ExpertGroupId,
  type StageIndex,
  type TensorRank,
  type WorkerRank,
} from './rank.ts';

/** Sizes of the axes. world = pp·dp·tp; ep divides dp. */
export interface MeshShape {
  readonly pp: number;
  readonly dp: number;
  readonly tp: number;
  readonly ep: number;
}

export interface Coordinates {
  readonly pp: StageIndex;
  readonly dp: DataRank;
  readonly tp: TensorRank;
  /** Which group of experts the worker has. */
  readonly ep: ExpertGroupId;
  /** Which copy of that group it is. */
  readonly edp: number;
}

/** A place on the three axes of devices. */
export type MeshPlace = Readonly<Record<'pp' | 'dp' | 'tp', number>>;

export type Axis = 'pp' | 'dp' | 'tp' | 'ep' | 'edp';

/** How expert-parallel groups lie on the data axis: neighbours (default), or ranks dp/ep apart. */
export type ExpertOrder = 'contiguous' | 'strided';

/** Coordinates of workers and back. */
export interface Mesh extends MeshShape {
  readonly world: number;
  /** dp / ep. */
  readonly edp: number;
  readonly coordinates: (rank: number) => Coordinates;
  readonly rankOf: (place: MeshPlace) => WorkerRank;
  /** The data-parallel rank that has copy `edp` of expert group `ep`. */
  readonly dpOf: (ep: number, edp: number) => DataRank;
  /** Those that differ from a worker along one axis alone, itself among them, in the order of that axis. */
  readonly peers: (axis: Axis, rank: number) => Holders;
}

/**
 * The mesh of workers: tensor axis fastest, then data, then pipeline. Experts use ranks of the data axis.
 *
 * @see Kim et al. 2021, arXiv:2109.10465, and the groups of the code released with it
 */
export function createMesh(shape: MeshShape, order: ExpertOrder = 'contiguous'): Mesh {
  const { pp, dp, tp, ep } = shape;
  assert(
    [pp, dp, tp, ep].every((size) => Number.isSafeInteger(size) && size >= 1),
    'axes are positive whole numbers',
    { pp, dp, tp, ep },
  );
  assert(dp % ep === 0, 'ep divides dp', { dp, ep });
  const edp = dp / ep;
  const world = pp * dp * tp;
  const sizes = { pp, dp, tp, ep, edp };
  /** Workers between neighbours of an axis. */
  const strides = {
    pp: dp * tp,
    dp: tp,
    tp: 1,
    ep: tp * (order === 'contiguous' ? 1 : edp),
    edp: tp * (order === 'contiguous' ? ep : 1),
  };
  const along = (axis: Axis, rank: number): number => Math.floor(rank / strides[axis]) % sizes[axis];
  const judged = (rank: number): number => {
    assert(Number.isSafeInteger(rank) && rank >= 0 && rank < world, 'a rank lies in the world', {
      rank,
      world,
    });
    return rank;
  };
  return {
    ...shape,
    world,
    edp,
    rankOf: (at) => workerRank(judged((at.pp * dp + at.dp) * tp + at.tp)),
    dpOf: (group, copy) => dataRank((group * strides.ep + copy * strides.edp) / tp),
    coordinates: (rank) => ({
      pp: stageIndex(along('pp', judged(rank))),
      dp: dataRank(along('dp', rank)),
      tp: tensorRank(along('tp', rank)),
      ep: expertGroupId(along('ep', rank)),
      edp: along('edp', rank),
    }),
    peers: (axis, rank) => {
      const first = judged(rank) - along(axis, rank) * strides[axis];
      return new Holders([{ first, stride: strides[axis], count: sizes[axis] }]);
    },
  };
}
