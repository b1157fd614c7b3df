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
  /** Default: ep-inner. */
  readonly rankOrder?: ExpertOrder;
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
export type ExpertOrder = 'ep-inner' | 'edp-inner';

/**
 * Coordinates of workers and back: tensor axis fastest, then data, then pipeline. Experts use ranks of the data axis.
 *
 * @see Kim et al. 2021, arXiv:2109.10465, and the groups of the code released with it
 */
export class Mesh implements MeshShape {
  readonly pp: number;
  readonly dp: number;
  readonly tp: number;
  readonly ep: number;
  /** dp / ep. */
  readonly edp: number;
  readonly world: number;
  /** Workers between neighbours of an axis. */
  readonly #strides: Readonly<Record<Axis, number>>;

  constructor({ pp, dp, tp, ep, rankOrder = 'ep-inner' }: MeshShape) {
    assert(
      [pp, dp, tp, ep].every((size) => Number.isSafeInteger(size) && size >= 1),
      'axes are positive whole numbers',
      { pp, dp, tp, ep },
    );
    assert(dp % ep === 0, 'ep divides dp', { dp, ep });
    this.pp = pp;
    this.dp = dp;
    this.tp = tp;
    this.ep = ep;
    this.edp = dp / ep;
    this.world = pp * dp * tp;
    this.#strides = {
      pp: dp * tp,
      dp: tp,
      tp: 1,
      ep: tp * (rankOrder === 'ep-inner' ? 1 : this.edp),
      edp: tp * (rankOrder === 'ep-inner' ? ep : 1),
    };
  }

  rankOf(at: MeshPlace): WorkerRank {
    return workerRank(this.#judged((at.pp * this.dp + at.dp) * this.tp + at.tp));
  }

  /** The data-parallel rank that has copy `edp` of expert group `ep`. */
  dpOf(ep: number, edp: number): DataRank {
    return dataRank((ep * this.#strides.ep + edp * this.#strides.edp) / this.tp);
  }

  coordinates(rank: number): Coordinates {
    return {
      pp: stageIndex(this.#along('pp', this.#judged(rank))),
      dp: dataRank(this.#along('dp', rank)),
      tp: tensorRank(this.#along('tp', rank)),
      ep: expertGroupId(this.#along('ep', rank)),
      edp: this.#along('edp', rank),
    };
  }

  /** Those that differ from a worker along one axis alone, itself among them, in the order of that axis. */
  peers(axis: Axis, rank: number): Holders {
    const stride = this.#strides[axis];
    const first = this.#judged(rank) - this.#along(axis, rank) * stride;
    return new Holders([{ first, stride, count: this[axis] }]);
  }

  #along(axis: Axis, rank: number): number {
    return Math.floor(rank / this.#strides[axis]) % this[axis];
  }

  #judged(rank: number): number {
    const { world } = this;
    if (!Number.isSafeInteger(rank) || rank < 0 || rank >= world)
      assert(false, 'a rank lies in the world', { rank, world });
    return rank;
  }
}
