import { assert } from '@troupe/core';
import {
  denseUnits,
  eachSegment,
  exchangeLevels,
  expertUnit,
  isEmbedding,
  kvHeadsOfSegment,
  type ModelConfig,
  type OptimizerKind,
  type TensorSegments,
  type Unit,
} from '@troupe/spec';
import type { ExpertPlace, ExpertPlaces } from './expert-places.ts';
import { Holders } from './holders.ts';
import type { Coordinates, Mesh } from './mesh.ts';
import { ParameterGroup, type GroupName } from './parameter-group.ts';
import { tensorRank, type ExpertGroupId, type StageIndex, type TensorRank, type WorkerRank } from './rank.ts';
import type { StagePlan } from './stage-plan.ts';

/** Of a layout, what its groups follow from. */
export interface GroupedLayout {
  readonly model: ModelConfig;
  readonly mesh: Mesh;
  at(worker: WorkerRank): Coordinates;
  stagePlan(stage: StageIndex): StagePlan;
  moeLayersOf(stage: StageIndex): readonly number[];
  expertsOf(layer: number, group: ExpertGroupId): readonly number[];
  /** Of the matrices that tensor peers divide. */
  segmentsOf(tensor: TensorRank): TensorSegments;
  /** Of routed experts. */
  expertSegmentsOf(tensor: TensorRank): TensorSegments;
  readonly options: { readonly expertsSliced: boolean };
  hasStage(worker: WorkerRank): boolean;
  expertPlaceOf(worker: WorkerRank): ExpertPlace | null;
  layersOf(worker: WorkerRank): readonly number[];
  readonly experts: ExpertPlaces;
}

/** How holders exchange, and update. */
export interface ExchangeRule {
  readonly optimizer: OptimizerKind;
  /** Most peers of a group; 0: all. */
  readonly fanout: number;
  /** Neighbours in the order of ranks that certainly share a machine. */
  readonly neighbours: () => number;
}

/** Norms and routers are not divided along the tensor axis: all peers hold them. */
const isReplicated = ({ segment }: Unit): boolean => segment === null;

/** Some of the peers: keys and values of a head that the query heads of several of them read. */
const isShared = ({ segment, peerGradient }: Unit): boolean => segment !== null && peerGradient === 'shares';

/**
 * The parameter groups of every worker.
 *
 * Two while pp and tp are 1: what is not a routed expert (`dense`), and a group of experts of every layer (`expert`). The table of a tied
 * embedding is a group of its own (`embed`) where first and last stage hold it, and so are norms and routers (`replicated`) beside matrices
 * that the tensor axis divides, and a head of keys and values (`heads`) that several tensor peers read.
 */
export class ParameterGroups {
  readonly #layout: GroupedLayout;
  readonly #rule: ExchangeRule;
  /** Workers that hold the same share one group, and with it one list of units. */
  readonly #known = new Map<string, ParameterGroup>();
  readonly #byCoordinates = new Map<number, readonly ParameterGroup[]>();
  #neighbours: number | null = null;

  constructor(layout: GroupedLayout, rule: ExchangeRule) {
    this.#layout = layout;
    this.#rule = rule;
  }

  of(worker: WorkerRank): readonly ParameterGroup[] {
    const { mesh } = this.#layout;
    if (!this.#layout.hasStage(worker)) return [this.#apart(worker)];
    const at = this.#layout.at(worker);
    const key = (at.pp * mesh.tp + at.tp) * mesh.ep + at.ep;
    const known = this.#byCoordinates.get(key) ?? this.#make(worker, at);
    this.#byCoordinates.set(key, known);
    return known;
  }

  #make(worker: WorkerRank, at: Coordinates): readonly ParameterGroup[] {
    const { mesh, model } = this.#layout;
    const { hasEmbedding, hasHead } = this.#layout.stagePlan(at.pp);
    const isTied = model.tiedHead && mesh.pp > 1 && (hasEmbedding || hasHead);
    return [
      ...(isTied ? [this.#tied(at)] : []),
      this.#dense(worker, at),
      ...(mesh.tp > 1 ? [this.#replicated(at)] : []),
      ...(mesh.tp > model.kvHeads ? [this.#heads(at)] : []),
      ...(this.#layout.expertPlaceOf(worker) === null ? [] : [this.#expert(worker, at)]),
    ];
  }

  #dense(worker: WorkerRank, at: Coordinates): ParameterGroup {
    const { mesh } = this.#layout;
    return this.#group('dense', [at.pp, at.tp], {
      reader: 'stage',
      holders: () => mesh.peers('dp', worker),
      units: () =>
        this.#stageUnits(at).filter((unit) => mesh.tp === 1 || (!isReplicated(unit) && !isShared(unit))),
    });
  }

  #replicated(at: Coordinates): ParameterGroup {
    const { mesh } = this.#layout;
    const first = mesh.rankOf({ pp: at.pp, dp: 0, tp: 0 });
    return this.#group('replicated', [at.pp], {
      reader: 'stage',
      holders: () => new Holders([{ first, stride: 1, count: mesh.dp * mesh.tp }]),
      units: () => this.#stageUnits(at).filter(isReplicated),
    });
  }

  #heads(at: Coordinates): ParameterGroup {
    const { mesh, model } = this.#layout;
    const { count, from } = this.#layout.segmentsOf(at.tp);
    const head = kvHeadsOfSegment({ count, index: from }, model.kvHeads).from;
    const peers = mesh.tp / model.kvHeads;
    return this.#group('heads', [at.pp, head], {
      reader: 'stage',
      holders: () => this.#besides(at.pp, { from: head * peers, count: peers }),
      units: () => this.#stageUnits(at).filter(isShared),
    });
  }

  /** Neighbours along the tensor axis, of every replica of a stage. */
  #besides(stage: StageIndex, { from, count }: { readonly from: number; readonly count: number }): Holders {
    const { mesh } = this.#layout;
    return new Holders(
      Array.from({ length: mesh.dp }, (_, dp) => ({
        first: mesh.rankOf({ pp: stage, dp, tp: from }),
        stride: 1,
        count,
      })),
    );
  }

  #tied(at: Coordinates): ParameterGroup {
    const { mesh } = this.#layout;
    const runOf = (stage: number) => ({
      first: mesh.rankOf({ pp: stage, dp: 0, tp: at.tp }),
      stride: mesh.tp,
      count: mesh.dp,
    });
    return this.#group('embed', [at.tp], {
      reader: 'stage',
      holders: () => new Holders([runOf(0), runOf(mesh.pp - 1)]),
      units: () => this.#denseUnits(at).filter(isEmbedding),
    });
  }

  #expert(worker: WorkerRank, at: Coordinates): ParameterGroup {
    const { mesh, model, options } = this.#layout;
    const copies = mesh.peers('edp', worker);
    const isSliced = options.expertsSliced || mesh.tp === 1;
    const segments = eachSegment(this.#layout.expertSegmentsOf(at.tp));
    return this.#group('expert', [at.pp, isSliced ? at.tp : 0, at.ep], {
      reader: 'experts',
      holders: () =>
        isSliced
          ? copies
          : new Holders(Array.from(copies, (copy) => ({ first: copy - at.tp, stride: 1, count: mesh.tp }))),
      units: () =>
        this.#layout
          .moeLayersOf(at.pp)
          .flatMap((layer) =>
            segments.flatMap((segment) =>
              this.#layout.expertsOf(layer, at.ep).map((expert) => expertUnit(model, layer, expert, segment)),
            ),
          ),
    });
  }

  /** On a worker without a stage: its experts of all layers, whole. */
  #apart(worker: WorkerRank): ParameterGroup {
    const { model, experts } = this.#layout;
    const segments = eachSegment(this.#layout.expertSegmentsOf(tensorRank(0)));
    const place = this.#layout.expertPlaceOf(worker);
    assert(place !== null, 'a worker has a stage or experts', { worker });
    return this.#group('expert', [place.ep], {
      reader: 'experts',
      holders: () => experts.copiesOf(worker),
      units: () =>
        this.#layout
          .layersOf(worker)
          .flatMap((layer) =>
            segments.flatMap((segment) =>
              this.#layout
                .expertsOf(layer, place.ep)
                .map((expert) => expertUnit(model, layer, expert, segment)),
            ),
          ),
    });
  }

  #denseUnits({ tp }: Coordinates): readonly Unit[] {
    return denseUnits(this.#layout.model, this.#layout.segmentsOf(tp));
  }

  /** Units of a stage that are no routed experts and no tied table. */
  #stageUnits(at: Coordinates): readonly Unit[] {
    const { model, mesh } = this.#layout;
    const { blocks, hasEmbedding, hasHead } = this.#layout.stagePlan(at.pp);
    return this.#denseUnits(at).filter((unit) => {
      if (unit.layer !== null) return blocks.includes(unit.layer);
      return isEmbedding(unit) ? hasEmbedding && !(model.tiedHead && mesh.pp > 1) : hasHead;
    });
  }

  #group(
    name: GroupName,
    key: readonly number[],
    made: Pick<ParameterGroup, 'reader'> & {
      readonly holders: () => Holders;
      readonly units: () => readonly Unit[];
    },
  ): ParameterGroup {
    const id = [name, ...key].join('/');
    let group = this.#known.get(id);
    if (group === undefined) {
      const { reader, units } = made;
      const holders = made.holders();
      group = new ParameterGroup({
        name,
        holders,
        exchange: this.#exchange(holders),
        optimizer: this.#rule.optimizer,
        reader,
        units,
      });
      this.#known.set(id, group);
    }
    return group;
  }

  /** Machines first, then groups of `fanout`. */
  #exchange(holders: Holders) {
    const { pp, tp } = this.#layout.mesh;
    this.#neighbours ??= pp * tp > 1 ? 1 : this.#rule.neighbours();
    const distance = holders.count > 1 ? holders.at(1) - holders.at(0) : 1;
    const perMachine = Math.max(1, Math.floor(this.#neighbours / distance));
    return exchangeLevels(holders.count, { perMachine, fanout: this.#rule.fanout });
  }
}
