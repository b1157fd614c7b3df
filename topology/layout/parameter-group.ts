import type { Address } from '@troupe/core';
import {
  cutAtBlocks,
  cutAtUnits,
  exchangeSlices,
  flatLayout,
  hasWholeTensors,
  OptimizerState,
  unitCost,
  type Cut,
  type ElementRange,
  type ExchangeLevel,
  type FlatLayout,
  type OptimizerKind,
  type Unit,
} from '@troupe/spec';
import type { Holders } from './holders.ts';
import { segmentsOf, type Segment } from './segment.ts';
import type { WorkerRank } from './rank.ts';

/** What shards of a group are called: a part of their addresses. */
export type GroupName = 'embed' | 'dense' | 'replicated' | 'heads' | 'expert';

/** What of a group's buffer one worker completes alone. */
export interface HeldSlice {
  readonly worker: WorkerRank;
  readonly part: ElementRange;
}

/**
 * Parameters that the same workers hold: they add up their gradients, and share their optimizer state and their updates.
 *
 * GRP-1: a unit is in one group of its stage, and so once among the shards that vote with its norm. GRP-2: holders stand in the order of
 * their slices.
 */
export class ParameterGroup {
  /** What its shards are called: the same for other workers' groups of the same kind. */
  readonly name: GroupName;
  readonly holders: Holders;
  /** In which levels the holders exchange gradients and weights. */
  readonly exchange: readonly ExchangeLevel[];
  /** What updates it, which says where its buffer may be divided among its holders and what they keep beside it. */
  readonly optimizer: OptimizerKind;
  /** Who reads the weights: the stage, or experts. */
  readonly reader: 'stage' | 'experts';
  /** Addresses of its shards and couriers, as far as somebody asked for them: one string each, however many messages name it. */
  readonly shards = new Map<WorkerRank, Address>();
  readonly couriers = new Map<WorkerRank, Address>();
  readonly #makeUnits: () => readonly Unit[];
  #flat: FlatLayout | null = null;
  #segments: readonly Segment[] | null = null;
  #slices: readonly HeldSlice[] | null = null;
  #state: OptimizerState | null = null;
  #cut: Cut | null = null;
  readonly #layerRanges = new Map<number, ElementRange | null>();

  constructor(
    group: Pick<ParameterGroup, 'name' | 'holders' | 'exchange' | 'optimizer' | 'reader'> & {
      readonly units: () => readonly Unit[];
    },
  ) {
    this.name = group.name;
    this.holders = group.holders;
    this.exchange = group.exchange;
    this.optimizer = group.optimizer;
    this.reader = group.reader;
    this.#makeUnits = group.units;
  }

  /** Its units side by side in one buffer; made when somebody asks, once for all holders. */
  get flat(): FlatLayout {
    this.#flat ??= flatLayout(this.#makeUnits());
    return this.#flat;
  }

  /** Its units as they are computed, one segment after the other. */
  get segments(): readonly Segment[] {
    this.#segments ??= segmentsOf(this.flat);
    return this.#segments;
  }

  /** Who completes which slice, in the order of the buffer; worked out once for all holders. */
  get slices(): readonly HeldSlice[] {
    this.#slices ??= exchangeSlices(this.flat.length, this.exchange, this.cut).map(({ position, part }) => ({
      worker: this.holders.at(position),
      part,
    }));
    return this.#slices;
  }

  /**
   * From ZeRO 2 on a holder has a part of it. What tensor peers hold alike is small (norms, routers) and stays whole: each of them computes
   * all of its gradient, and one counts.
   */
  get isCut(): boolean {
    return this.holders.count > 1 && this.name !== 'replicated';
  }

  get units(): readonly Unit[] {
    return this.flat.units;
  }

  /** Where the optimizer's state of its elements lies; worked out once for all holders. */
  get state(): OptimizerState {
    this.#state ??= new OptimizerState(this.flat, this.optimizer);
    return this.#state;
  }

  /** At any norm block, or where some tensors stay whole only between units, as even in their cost as these allow. */
  get cut(): Cut {
    const { optimizer } = this;
    this.#cut ??= hasWholeTensors(optimizer)
      ? cutAtUnits(
          this.flat,
          this.units.map((unit) => unitCost(optimizer, unit)),
        )
      : cutAtBlocks;
    return this.#cut;
  }

  /** Where the units of a layer lie; null: it has none. Worked out once: a group may have thousands of units, and be asked for every message. */
  rangeOfLayer(layer: number): ElementRange | null {
    let range = this.#layerRanges.get(layer);
    if (range === undefined) {
      range = this.rangeOf((unit) => unit.layer === layer);
      this.#layerRanges.set(layer, range);
    }
    return range;
  }

  /** Where consecutive units lie in the buffer; null: it has none of these. */
  rangeOf(belongs: (unit: Unit) => boolean): ElementRange | null {
    const { units, starts, length } = this.flat;
    const first = units.findIndex(belongs);
    if (first < 0) return null;
    const last = units.findLastIndex(belongs);
    return { from: starts[first] ?? 0, to: starts[last + 1] ?? length };
  }
}
