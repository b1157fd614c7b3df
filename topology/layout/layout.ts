import { assert, type Address, type NodeId } from '@troupe/core';
import {
  expertsChoose,
  expertSegmentsOf,
  isMoeLayer,
  moeLayers,
  segmentsOf,
  type ElementRange,
  type ModelConfig,
  type OptimizerKind,
  type TensorAxis,
  type TensorSegments,
} from '@troupe/spec';
import { expertMaps, rankOf_E, type ExpertMap, type WrittenExperts } from '../expert-map.ts';
import { addresses, hostNodeOf, workerNode } from './address.ts';
import { ChoiceGroups } from './choice-groups.ts';
import { Buddies } from './buddies.ts';
import { HostBuddies } from './host-buddies.ts';
import { Dealing, type Batch } from './dealing.ts';
import { GroupExchange } from './group-exchange.ts';
import { ParameterGroups } from './parameter-groups.ts';
import type { Holders } from './holders.ts';
import { MachineRow, type Machine } from './machine-row.ts';
import { ExpertsApart, ExpertsBeside, type ExpertPlace, type ExpertPlaces } from './expert-places.ts';
import { Mesh, type Coordinates, type MeshPlace, type MeshShape } from './mesh.ts';
import type { GroupName, ParameterGroup } from './parameter-group.ts';
import {
  dataRank,
  workerRank,
  type DataRank,
  type ExpertGroupId,
  type StageIndex,
  type TensorRank,
  type WorkerRank,
} from './rank.ts';
import { program, type PipelineKind } from '../pipeline.ts';
import { rowChunks, type RowChunkSource } from './row-chunks.ts';
import { cutByFlops, cutByHand } from './stage-cut.ts';
import { StagePlans, type StagePlan } from './stage-plan.ts';
import { StageSlots } from './stage-slots.ts';

/** How the work is divided beyond the sizes of the axes. */
export interface LayoutOptions {
  /** Blocks of each of the pp · chunks runs. Default null: cut by FLOPs. */
  readonly stages: readonly number[] | null;
  /** What lives in host memory. Default: none. */
  readonly offload: 'none' | 'optimizer';
  /** The matrices of an expert are divided over tensor peers too. Default: where experts lie beside stages. */
  readonly expertsSliced: boolean;
}

/** What a layout follows from: a resolved topology has it all. */
export interface LayoutSource {
  readonly model: ModelConfig;
  readonly parallel: MeshShape &
    Partial<LayoutOptions> & {
      readonly zero: 0 | 1 | 2 | 3;
      /** Default: 1F1B with one chunk a stage. */
      readonly pipeline?: PipelineKind;
      readonly chunks?: number;
      /** Default: contiguous. */
      readonly experts?: 'contiguous' | 'balanced' | WrittenExperts;
      /** Workers that hold no stage, and all experts; default 0: experts lie beside stages. */
      readonly expertWorkers?: number;
      /** Which device each worker has, of all machines' in a row; default null: the one of its number. */
      readonly devices?: readonly number[] | null;
    };
  /** Without an optimizer: one that takes an element at a time. */
  readonly train: Batch & {
    readonly optimizer?: { readonly kind: OptimizerKind };
    readonly tensorSegments?: number;
  };
  readonly machines: readonly Machine[];
  readonly wire: { readonly fanout: number } & RowChunkSource['wire'];
  readonly recovery: { readonly buddies: boolean };
}

/** The shard of a group on a worker. */
export interface ShardPlace {
  readonly group: ParameterGroup;
  readonly worker: WorkerRank;
}

/** A chunk of layers beside another one. */
export interface HiddenNeighbour {
  readonly stage: Address;
  readonly chunk: number;
}

/**
 * Who holds what, and who computes what: the one place that knows. Everything is a function of ranks, made when it is asked for, so that a
 * layout of 65,536 devices costs nothing.
 *
 * LAY-1: a worker asks its own layout and gets the same answer as any other, without a message.
 */
export class Layout {
  readonly model: ModelConfig;
  readonly mesh: Mesh;
  readonly zero: 0 | 1 | 2 | 3;
  readonly options: LayoutOptions;
  readonly dealing: Dealing;
  /** In which order stages work, over how many runs of blocks each. */
  readonly pipeline: {
    readonly kind: PipelineKind;
    readonly chunks: number;
    /** Operations of a stage that may be under way at a time: while one waits for other workers, the next one computes. */
    readonly width: number;
  };
  /** Chunks in which the rows of a microbatch go to experts, and come back. */
  readonly rowChunks: number;
  /** Where experts lie, and who sends to them. */
  readonly experts: ExpertPlaces;
  readonly machines: MachineRow;
  readonly #numWorkers: number;
  readonly #groups: ParameterGroups;
  readonly #expertMapOf: (layer: number) => ExpertMap;
  readonly #hasBuddies: boolean;
  /** `train.tensorSegments`. */
  readonly #tensorSegments: number;
  /** Of workers that were asked for: every message asks. */
  readonly #coordinates = new Map<WorkerRank, Coordinates>();
  readonly #ranks = new Map<ExpertMap, Int32Array>();
  readonly #slots = new Map<StageIndex, StageSlots>();
  readonly #moeLayers = new Map<StageIndex, readonly number[]>();
  #ring: Pick<Buddies, 'of' | 'wardsOf'> | null = null;
  #plans: StagePlans | null = null;

  constructor(source: LayoutSource) {
    const { model, parallel } = source;
    this.model = model;
    const apart = parallel.expertWorkers ?? 0;
    this.mesh = new Mesh(apart === 0 ? parallel : { ...parallel, ep: 1 });
    this.#numWorkers = this.mesh.world + apart;
    this.experts =
      apart === 0
        ? new ExpertsBeside(this.mesh)
        : new ExpertsApart(this.mesh, {
            workers: apart,
            numGroups: parallel.ep,
            order: parallel.rankOrder ?? 'ep-inner',
          });
    this.zero = parallel.zero;
    this.options = {
      stages: parallel.stages ?? null,
      offload: parallel.offload ?? 'none',
      expertsSliced: parallel.expertsSliced ?? apart === 0,
    };
    this.dealing = new Dealing(source.train, parallel.dp);
    const isElsewhere = apart > 0 || this.mesh.ep > 1;
    this.pipeline = {
      kind: parallel.pipeline ?? '1f1b',
      chunks: parallel.chunks ?? 1,
      width: isElsewhere && this.dealing.microbatches > 1 ? 2 : 1,
    };
    const numHolders = this.experts.numCopies * (apart > 0 || this.options.expertsSliced ? 1 : this.mesh.tp);
    this.rowChunks = rowChunks({
      model,
      sequences: this.dealing.microbatchSequences,
      grains: this.dealing.microbatchGrains,
      peers: this.options.expertsSliced ? 1 : this.mesh.tp,
      groups: parallel.ep,
      isElsewhere,
      isFinished: numHolders === 1 && this.dealing.microbatches === 1 && this.options.offload === 'none',
      wire: source.wire,
    });
    this.machines = new MachineRow(source.machines, parallel.devices ?? null);
    this.#hasBuddies = source.recovery.buddies;
    this.#tensorSegments = source.train.tensorSegments ?? 1;
    this.#expertMapOf = expertMaps(parallel.experts ?? 'contiguous', {
      layers: moeLayers(model),
      numExperts: model.moe?.experts ?? 0,
      numGroups: parallel.ep,
    });
    this.#groups = new ParameterGroups(this, {
      fanout: source.wire.fanout,
      optimizer: source.train.optimizer?.kind ?? 'adamw',
      neighbours: () => this.machines.neighbours,
    });
  }

  /** Where groups of sequences lie that experts choose from; null: tokens choose. */
  get choiceGroups(): ChoiceGroups | null {
    const { moe, seqLen } = this.model;
    if (moe === null || !expertsChoose(moe)) return null;
    const { microbatchSequences } = this.dealing;
    return new ChoiceGroups(moe.router.groupSequences, { microbatchSequences, seqLen });
  }

  /** Every worker, by rank. */
  *workers(): Generator<WorkerRank> {
    for (let rank = 0; rank < this.#numWorkers; rank++) yield workerRank(rank);
  }

  get numWorkers(): number {
    return this.#numWorkers;
  }

  /** Those that hold a stage: all, unless experts lie apart. */
  *stageWorkers(): Generator<WorkerRank> {
    for (let rank = 0; rank < this.mesh.world; rank++) yield workerRank(rank);
  }

  /** The host of every machine, which has the shards of its devices (`parallel.offload`): ranks behind those of all workers. */
  *hosts(): Generator<WorkerRank> {
    if (this.options.offload === 'none') return;
    for (let machine = 0; machine < this.machines.count; machine++)
      yield workerRank(this.#numWorkers + machine);
  }

  /** Workers and hosts: all that have a process of their own and attempts. */
  *nodes(): Generator<WorkerRank> {
    yield* this.workers();
    yield* this.hosts();
  }

  isHost(node: WorkerRank): boolean {
    return node >= this.#numWorkers;
  }

  hasStage(worker: WorkerRank): boolean {
    return worker < this.mesh.world;
  }

  /** Copy and group of the experts that a worker has; null: it has none. */
  expertPlaceOf(worker: WorkerRank): ExpertPlace | null {
    return this.layersOf(worker).length === 0 ? null : this.experts.of(worker);
  }

  /** Every data-parallel copy of the model: a feeder each. */
  *replicas(): Generator<DataRank> {
    for (let rank = 0; rank < this.mesh.dp; rank++) yield dataRank(rank);
  }

  /** Of a worker that holds a stage. */
  at(worker: WorkerRank): Coordinates {
    let found = this.#coordinates.get(worker);
    if (found === undefined) {
      found = this.mesh.coordinates(worker);
      this.#coordinates.set(worker, found);
    }
    return found;
  }

  /** Nobody else computes. */
  get isAlone(): boolean {
    return this.#numWorkers === 1 && this.options.offload === 'none';
  }

  // What a worker computes

  stagePlan(stage: StageIndex): StagePlan {
    return this.#stagePlans.of(stage);
  }

  /** Its runs of blocks, in the order of forward. */
  chunksOf(stage: StageIndex): readonly StagePlan[] {
    return this.#stagePlans.chunksOf(stage);
  }

  /** What the workers of a stage do in a step, and the room for their passes. */
  slotsOf(stage: StageIndex): StageSlots {
    let found = this.#slots.get(stage);
    if (found === undefined) {
      const { kind, chunks, width } = this.pipeline;
      const { microbatches } = this.dealing;
      found = new StageSlots({
        chunks: this.chunksOf(stage),
        program: program({ kind, stages: this.mesh.pp, stage, microbatches, chunks }),
        width,
      });
      this.#slots.set(stage, found);
    }
    return found;
  }

  stageOfBlock(block: number): StageIndex {
    return this.#stagePlans.stageOfBlock(block);
  }

  /** Made when somebody asks: the FLOPs of every block are counted. */
  get #stagePlans(): StagePlans {
    const { pp } = this.mesh;
    const { stages } = this.options;
    this.#plans ??= new StagePlans(
      stages === null ? cutByFlops(this.model, pp * this.pipeline.chunks) : cutByHand(stages),
      pp,
    );
    return this.#plans;
  }

  /** Blocks of a stage that have experts. */
  moeLayersOf(stage: StageIndex): readonly number[] {
    let found = this.#moeLayers.get(stage);
    if (found === undefined) {
      found = this.stagePlan(stage).blocks.filter((block) => isMoeLayer(this.model, block));
      this.#moeLayers.set(stage, found);
    }
    return found;
  }

  /** Blocks with experts whose gates, or experts, a worker has: of its stage, or of all where it has none. */
  layersOf(worker: WorkerRank): readonly number[] {
    if (this.hasStage(worker)) return this.moeLayersOf(this.at(worker).pp);
    return this.isHost(worker) ? [] : moeLayers(this.model);
  }

  expertMap(layer: number): ExpertMap {
    return this.#expertMapOf(layer);
  }

  /** Which group has each expert of a layer; layers of one map have one array. */
  rankOf_E(layer: number): Int32Array {
    const map = this.expertMap(layer);
    let found = this.#ranks.get(map);
    if (found === undefined) {
      found = rankOf_E(map);
      this.#ranks.set(map, found);
    }
    return found;
  }

  /** In the order in which the group computes them. */
  expertsOf(layer: number, group: ExpertGroupId): readonly number[] {
    return this.expertMap(layer).expertsOf(group);
  }

  /** Which segments of the matrices that tensor peers divide a tensor rank has. */
  segmentsOf(tensor: TensorRank): TensorSegments {
    return segmentsOf(this.tensorAxis, tensor);
  }

  /** The same of routed experts. */
  expertSegmentsOf(tensor: TensorRank): TensorSegments {
    return expertSegmentsOf(this.tensorAxis, tensor);
  }

  /** How matrices are divided. */
  get tensorAxis(): TensorAxis {
    return {
      tp: this.mesh.tp,
      segments: this.#tensorSegments,
      expertsSliced: this.options.expertsSliced,
    };
  }

  /** The tensor peers of a worker, itself among them, by tensor rank. */
  peersOf(worker: WorkerRank): Holders {
    return this.mesh.peers('tp', worker);
  }

  // Who holds which parameters

  /** The parameter groups that a worker has a shard of, in the order of forward. */
  groupsOf(worker: WorkerRank): readonly ParameterGroup[] {
    return this.#groups.of(worker);
  }

  /** The one of them that is called so. */
  groupOf(worker: WorkerRank, name: GroupName): ParameterGroup {
    const group = this.groupsOf(worker).find((each) => each.name === name);
    assert(group, 'a worker has the group', { worker, name });
    return group;
  }

  holdersOf(group: ParameterGroup): Holders {
    return group.holders;
  }

  /** Where the shards of a worker live: with it, or on the host of its machine. */
  homeOf(worker: WorkerRank): WorkerRank {
    return this.options.offload === 'none'
      ? worker
      : workerRank(this.#numWorkers + this.machines.machineOf(worker));
  }

  /** What of a group the shard of a worker updates, and a copy of it keeps: the slice that it sums up, or everything under ZeRO 0. */
  ownedBy(group: ParameterGroup, worker: WorkerRank): ElementRange {
    const { exchange, slice } = new GroupExchange(group, worker);
    return this.zero === 0 ? exchange.part(0) : slice;
  }

  /** The shards that live on a worker or host, its own or those of its machine's devices. */
  shardsAt(node: WorkerRank): readonly ShardPlace[] {
    const owners = this.isHost(node)
      ? [...this.machines.workersOf(node - this.#numWorkers)]
      : this.homeOf(node) === node
        ? [node]
        : [];
    return owners.flatMap((worker) => this.groupsOf(worker).map((group) => ({ group, worker })));
  }

  /** Others have the same state elsewhere, so that a loss of one process loses nothing. */
  hasTwins({ holders }: ParameterGroup): boolean {
    if (this.zero !== 0 || holders.count === 1) return false;
    return this.homeOf(holders.at(0)) !== this.homeOf(holders.at(holders.count - 1));
  }

  /**
   * Its gradients leave after each microbatch, and what they lie in is used again: from ZeRO 2 on, where there are other holders, and
   * wherever shards live on a host.
   */
  hasCourier(group: ParameterGroup): boolean {
    return this.options.offload !== 'none' || (this.zero >= 2 && group.isCut);
  }

  /** Kernel calls of a worker that make the gradient of a matrix of the group in a step. */
  gradientCallsOf({ reader }: ParameterGroup): number {
    return this.dealing.microbatches * (reader === 'experts' ? this.rowChunks : 1);
  }

  /** No worker has all weights of it: each gathers them segment by segment from those that own them (ZeRO 3). */
  isGathered(group: ParameterGroup): boolean {
    return this.zero === 3 && group.isCut;
  }

  /** The worker that keeps a copy of the state that of this group only `worker` has; null: it needs none, or there is none. */
  buddyOf(group: ParameterGroup, worker: WorkerRank): WorkerRank | null {
    return this.hasTwins(group) ? null : (this.#buddies?.of(worker) ?? null);
  }

  /** The shards of other workers whose state `worker` keeps a copy of. */
  wardsOf(worker: WorkerRank): readonly ShardPlace[] {
    const wards = this.#buddies?.wardsOf(worker) ?? [];
    return wards.flatMap((ward) =>
      this.groupsOf(ward).flatMap((group) => (this.hasTwins(group) ? [] : [{ group, worker: ward }])),
    );
  }

  get #buddies(): Pick<Buddies, 'of' | 'wardsOf'> | null {
    if (!this.#hasBuddies) return null;
    this.#ring ??=
      this.options.offload === 'none'
        ? new Buddies(this.machines.hosts)
        : new HostBuddies(this.machines, this.#numWorkers);
    return this.#ring;
  }

  // Where

  nodeOf(node: WorkerRank): NodeId {
    return this.isHost(node) ? hostNodeOf(this.machineOf(node)) : workerNode(node);
  }

  /** Position of the machine of a worker or host in the topology. */
  machineOf(node: WorkerRank): number {
    return this.isHost(node) ? node - this.#numWorkers : this.machines.machineOf(node);
  }

  // Names

  /** Where a worker's shards load from and save to: one store so far, on the first machine. */
  storeOf(_worker: WorkerRank): Address {
    return addresses.store(0);
  }

  /** Which device a worker has, of all machines' in a row. */
  deviceOf(worker: WorkerRank): number {
    return this.machines.deviceOf(worker);
  }

  /** The experts of a layer that the gate on a worker sends to, by group. */
  expertsFor(layer: number, worker: WorkerRank): readonly Address[] {
    return Array.from(this.experts.destinationsOf(worker), (other) => this.expertOf(layer, other));
  }

  /** The gates of a layer that send to the expert group on a worker, in the order in which it computes what they send. */
  gatesFor(layer: number, worker: WorkerRank): readonly Address[] {
    const sources = this.experts.sourcesOf(worker, this.stageOfBlock(layer));
    return Array.from(sources, (source) => this.gateOf(layer, source));
  }

  /** Which of the sources of an expert group the gate on a worker is. */
  sourceOf(_layer: number, worker: WorkerRank): number {
    return this.experts.sourceOf(worker);
  }

  /** The first worker of a data-parallel copy of the model has its feeder. */
  hasFeeder(worker: WorkerRank): boolean {
    if (!this.hasStage(worker)) return false;
    const { pp, tp } = this.at(worker);
    return pp === 0 && tp === 0;
  }

  feederOf(worker: WorkerRank): Address {
    return addresses.feeder(this.at(worker));
  }

  stageOf(worker: WorkerRank): Address {
    return addresses.stage(this.at(worker));
  }

  /** The stages of a data-parallel copy of the model. */
  stagesOf(replica: DataRank): readonly Address[] {
    const { pp, tp } = this.mesh;
    return Array.from({ length: pp * tp }, (_, index) =>
      addresses.stage({ pp: Math.floor(index / tp), dp: replica, tp: index % tp }),
    );
  }

  /** Programs have operations of their own for the gradients of matrices. */
  get hasMatrixOperations(): boolean {
    return this.pipeline.kind === 'zero-bubble';
  }

  /** The gradients of matrices wait for them. Not where gradients leave in buckets, which would be held as long. */
  get defersMatrices(): boolean {
    return this.hasMatrixOperations && this.zero < 2 && this.options.offload === 'none';
  }

  /** The slot of a stage. */
  passOf(worker: WorkerRank, slot: number): Address {
    return addresses.pass(this.at(worker), slot);
  }

  /** Where the residual stream goes behind a chunk of a stage; null: to the head. */
  nextOf(worker: WorkerRank, chunk: number): HiddenNeighbour | null {
    return this.#hiddenNeighbour(worker, chunk, 1);
  }

  /** Where it comes from; null: from the embedding. */
  previousOf(worker: WorkerRank, chunk: number): HiddenNeighbour | null {
    return this.#hiddenNeighbour(worker, chunk, -1);
  }

  #hiddenNeighbour(worker: WorkerRank, chunk: number, distance: 1 | -1): HiddenNeighbour | null {
    const { pp } = this.mesh;
    const at = this.at(worker);
    const run = chunk * pp + at.pp + distance;
    if (run < 0 || run >= pp * this.pipeline.chunks) return null;
    return { stage: addresses.stage({ ...at, pp: run % pp }), chunk: Math.floor(run / pp) };
  }

  /** The gate of a layer on a worker, by the direction of a pass. */
  gateOf(layer: number, worker: WorkerRank, direction: 'forward' | 'backward' = 'forward'): Address {
    const at = this.at(worker);
    return direction === 'backward' && this.pipeline.width > 1
      ? addresses.backwardGate(layer, at, this.mesh)
      : addresses.gate(layer, at, this.mesh);
  }

  /**
   * All gates of a layer on a worker.
   *
   * LAN-1: where two passes are under way at a time, each direction has a gate. With one for both, a replica's gate could wait for the rows
   * of one pass while that of another replica waits for the gradients of the other: each for what the other has not sent.
   */
  gatesOf(layer: number, worker: WorkerRank): readonly Address[] {
    const gates = [this.gateOf(layer, worker, 'forward'), this.gateOf(layer, worker, 'backward')];
    return this.pipeline.width > 1 ? gates : gates.slice(0, 1);
  }

  /** The expert group of a layer that lives on a worker. */
  expertOf(layer: number, worker: WorkerRank): Address {
    if (this.hasStage(worker) && this.#numWorkers === this.mesh.world)
      return addresses.expert(layer, this.at(worker), this.mesh);
    const place = this.experts.of(worker);
    assert(place !== null, 'a worker has experts', { worker });
    return addresses.expert(layer, place);
  }

  /** What keeps a copy of the state of a shard, on its buddy. */
  wardOf(group: ParameterGroup, worker: WorkerRank): Address {
    return addresses.ward(group.name, this.#placeOf(worker), this.mesh);
  }

  /** What shards on a worker are named by. */
  #placeOf(worker: WorkerRank): MeshPlace | ExpertPlace {
    if (this.hasStage(worker)) return this.at(worker);
    const place = this.experts.of(worker);
    assert(place !== null, 'a worker has a stage or experts', { worker });
    return place;
  }

  shardOf(group: ParameterGroup, worker: WorkerRank): Address {
    let name = group.shards.get(worker);
    if (name === undefined) {
      name = addresses.optimizer(group.name, this.#placeOf(worker), this.mesh);
      group.shards.set(worker, name);
    }
    return name;
  }

  /** Who sends gradients of a group from a worker, and gathers its weights there; null: shards beside do without. */
  courierOf(group: ParameterGroup, worker: WorkerRank): Address | null {
    if (!this.hasCourier(group)) return null;
    let name = group.couriers.get(worker);
    if (name === undefined) {
      name = addresses.courier(group.name, this.#placeOf(worker), this.mesh);
      group.couriers.set(worker, name);
    }
    return name;
  }
}
