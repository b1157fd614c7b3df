import { assert } from '@troupe/core';
import { Holders } from './holders.ts';
import type { ExpertOrder, Mesh } from './mesh.ts';
import { expertGroupId, workerRank, type ExpertGroupId, type StageIndex, type WorkerRank } from './rank.ts';

/** Copy `edp` of group `ep` of the experts of a layer. */
export interface ExpertPlace {
  readonly ep: ExpertGroupId;
  readonly edp: number;
}

/** Where experts lie, and which gates send to them. */
export interface ExpertPlaces {
  readonly numGroups: number;
  /** Of each group. */
  readonly numCopies: number;
  /** Tensor peers that have a copy together, or one each: workers of a copy for the layers of a stage. */
  readonly numPeers: number;
  /** What a worker has; null: none. */
  of(worker: WorkerRank): ExpertPlace | null;
  /** The worker that has a copy of a group for the layers of a stage: that tensor peer, or the first one. */
  workerOf(
    place: { readonly ep: number; readonly edp: number; readonly tp?: number },
    stage: StageIndex,
  ): WorkerRank;
  /** Where the gates on a worker send to, by group. */
  destinationsOf(worker: WorkerRank): Holders;
  /** Whose gates of a stage send to a worker, in the order of their grains. Of tensor peers with parts of experts, those that have the same. */
  sourcesOf(worker: WorkerRank, stage: StageIndex): Holders;
  /** Where the gates on a worker stand among those that send to the same experts. */
  sourceOf(worker: WorkerRank): number;
  /** Who has the same experts as a worker, in the order of copies. */
  copiesOf(worker: WorkerRank): Holders;
}

/** Experts beside stages: ep divides dp, and a group serves the replicas between which it is divided. */
export class ExpertsBeside implements ExpertPlaces {
  readonly #mesh: Mesh;

  constructor(mesh: Mesh) {
    this.#mesh = mesh;
  }

  get numGroups(): number {
    return this.#mesh.ep;
  }

  get numCopies(): number {
    return this.#mesh.edp;
  }

  get numPeers(): number {
    return this.#mesh.tp;
  }

  of(worker: WorkerRank): ExpertPlace {
    return this.#mesh.coordinates(worker);
  }

  workerOf(
    { ep, edp, tp = 0 }: { readonly ep: number; readonly edp: number; readonly tp?: number },
    stage: StageIndex,
  ): WorkerRank {
    return this.#mesh.rankOf({ pp: stage, dp: this.#mesh.dpOf(ep, edp), tp });
  }

  destinationsOf(worker: WorkerRank): Holders {
    return this.#mesh.peers('ep', worker);
  }

  sourcesOf(worker: WorkerRank): Holders {
    return this.#mesh.peers('ep', worker);
  }

  sourceOf(worker: WorkerRank): number {
    return this.#mesh.coordinates(worker).ep;
  }

  copiesOf(worker: WorkerRank): Holders {
    return this.#mesh.peers('edp', worker);
  }
}

/** How experts lie on workers that hold no stage. */
export interface ApartShape {
  /** Such workers: their ranks follow those of the mesh. */
  readonly workers: number;
  readonly numGroups: number;
  /** Copies of a group lie side by side, or groups do (ep-inner, the default). */
  readonly order: ExpertOrder;
}

/**
 * Experts on workers without a stage: each has its group of every layer of all stages, whole.
 *
 * PLA-3: every worker of a stage is a source of every group, tensor peers too, which dispatch a run of grains each. Sources are dealt to the
 * copies of the groups in runs: so in the order of ranks they are in ascending order of grains, as they are beside stages.
 */
export class ExpertsApart implements ExpertPlaces {
  readonly numGroups: number;
  readonly numCopies: number;
  readonly numPeers = 1;
  readonly #mesh: Mesh;
  /** Workers of a stage. */
  readonly #numSources: number;
  readonly #isEpInner: boolean;

  constructor(mesh: Mesh, { workers, numGroups, order }: ApartShape) {
    assert(workers % numGroups === 0, 'every group has as many copies', { workers, numGroups });
    this.#mesh = mesh;
    this.numGroups = numGroups;
    this.numCopies = workers / numGroups;
    this.#numSources = mesh.dp * mesh.tp;
    this.#isEpInner = order === 'ep-inner';
    assert(this.numCopies <= this.#numSources, 'every copy has a source', {
      copies: this.numCopies,
      sources: this.#numSources,
    });
  }

  of(worker: WorkerRank): ExpertPlace | null {
    const at = worker - this.#mesh.world;
    if (at < 0) return null;
    const { numGroups, numCopies } = this;
    return this.#isEpInner
      ? { ep: expertGroupId(at % numGroups), edp: Math.floor(at / numGroups) }
      : { ep: expertGroupId(Math.floor(at / numCopies)), edp: at % numCopies };
  }

  workerOf({ ep, edp }: { readonly ep: number; readonly edp: number }): WorkerRank {
    return this.#rankOf(ep, edp);
  }

  destinationsOf(worker: WorkerRank): Holders {
    const edp = this.#copyOf(this.#sourceAt(worker));
    return new Holders([
      { first: this.#rankOf(0, edp), stride: this.#isEpInner ? 1 : this.numCopies, count: this.numGroups },
    ]);
  }

  sourcesOf(worker: WorkerRank, stage: StageIndex): Holders {
    const { edp } = this.#placeOf(worker);
    const first = this.#firstOf(edp);
    return new Holders([
      {
        first: this.#mesh.rankOf({ pp: stage, dp: 0, tp: 0 }) + first,
        stride: 1,
        count: this.#firstOf(edp + 1) - first,
      },
    ]);
  }

  sourceOf(worker: WorkerRank): number {
    const source = this.#sourceAt(worker);
    return source - this.#firstOf(this.#copyOf(source));
  }

  copiesOf(worker: WorkerRank): Holders {
    const { ep } = this.#placeOf(worker);
    return new Holders([
      { first: this.#rankOf(ep, 0), stride: this.#isEpInner ? this.numGroups : 1, count: this.numCopies },
    ]);
  }

  #placeOf(worker: WorkerRank): ExpertPlace {
    const place = this.of(worker);
    assert(place !== null, 'a worker has experts', { worker });
    return place;
  }

  /** Which of the workers of its stage a worker is. */
  #sourceAt(worker: WorkerRank): number {
    const { dp, tp } = this.#mesh.coordinates(worker);
    return dp * this.#mesh.tp + tp;
  }

  /** The copy that serves a source. */
  #copyOf(source: number): number {
    return Math.floor((source * this.numCopies) / this.#numSources);
  }

  /** The first source that a copy serves. */
  #firstOf(copy: number): number {
    return Math.ceil((copy * this.#numSources) / this.numCopies);
  }

  #rankOf(ep: number, edp: number): WorkerRank {
    const at = this.#isEpInner ? edp * this.numGroups + ep : ep * this.numCopies + edp;
    return workerRank(this.#mesh.world + at);
  }
}
