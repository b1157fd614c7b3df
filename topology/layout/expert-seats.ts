import { assert } from '@troupe/core';
import { expertUnit, moeLayers, type Unit } from '@troupe/spec';
import { rankOf_E, writtenExperts, type ExpertMap } from '../expert-map.ts';
import type { Layout } from './layout.ts';
import { expertGroupId, tensorRank } from './rank.ts';

/** A map that is not the layout's. */
interface MovedLayer {
  readonly map: ExpertMap;
  readonly rankOf_E: Int32Array;
}

/**
 * Which expert sits where. A layout calls each seat, a place in the buffer of a group, by the expert that sits there in the beginning; hot
 * experts move, and then another one has it. Groups keep their sizes, so a move changes no length, no address, and no layout.
 *
 * MAP-2: in a group experts sit in rising order, in which rows lie and the group computes them. MAP-3: seats never change: who moves
 * experts makes new ones, so that a worker in an older attempt goes on with its own.
 */
export class ExpertSeats {
  readonly layout: Layout;
  /** Of every expert, layer by layer of those with experts. */
  readonly groups_LE: Int32Array;
  readonly #moved = new Map<number, MovedLayer>();

  /** @param groups_LE - default: as the layout says; it is kept, so nobody may write it again */
  constructor(layout: Layout, groups_LE: Int32Array | null = null) {
    const layers = moeLayers(layout.model);
    const experts = layout.model.moe?.experts ?? 0;
    this.layout = layout;
    this.groups_LE = groups_LE ?? Int32Array.from(layers.flatMap((layer) => [...layout.rankOf_E(layer)]));
    assert(this.groups_LE.length === layers.length * experts, 'every expert has a group', {
      found: this.groups_LE.length,
    });
    if (groups_LE === null) return;
    for (const [index, layer] of layers.entries()) {
      const row = groups_LE.slice(index * experts, (index + 1) * experts);
      const first = layout.rankOf_E(layer);
      if (row.every((group, expert) => group === first[expert])) continue;
      this.#moved.set(layer, movedLayer(layout.expertMap(layer), row));
    }
  }

  /** The same seats. */
  equals(groups_LE: Int32Array): boolean {
    return (
      this.groups_LE === groups_LE ||
      (this.groups_LE.length === groups_LE.length &&
        this.groups_LE.every((group, at) => group === groups_LE[at]))
    );
  }

  /** Which group has each expert of a layer: the same array as long as the seats are. */
  rankOf_E(layer: number): Int32Array {
    return this.#moved.get(layer)?.rankOf_E ?? this.layout.rankOf_E(layer);
  }

  /** In the order in which they are computed. */
  expertsOf(layer: number, group: number): readonly number[] {
    return this.#mapOf(layer).expertsOf(expertGroupId(group));
  }

  /** Who has a seat. */
  expertAt(layer: number, seat: number): number {
    return this.#moved.has(layer)
      ? counterpart(seat, this.layout.expertMap(layer), this.#mapOf(layer))
      : seat;
  }

  /** Which seat an expert has. */
  seatOf(layer: number, expert: number): number {
    return this.#moved.has(layer)
      ? counterpart(expert, this.#mapOf(layer), this.layout.expertMap(layer))
      : expert;
  }

  /** What lies where the layout has a unit: it decides the names of parameters. */
  unitAt(seat: Unit): Unit {
    const { layer, expert, segment } = seat;
    if (layer === null || expert === null) return seat;
    const found = this.expertAt(layer, expert);
    if (found === expert) return seat;
    const { model } = this.layout;
    if (segment === null) return expertUnit(model, layer, found);
    const { count } = this.layout.expertSegmentsOf(tensorRank(0));
    return expertUnit(model, layer, found, { count, index: segment });
  }

  #mapOf(layer: number): ExpertMap {
    return this.#moved.get(layer)?.map ?? this.layout.expertMap(layer);
  }
}

function movedLayer(first: ExpertMap, row: Int32Array): MovedLayer {
  const groups = Array.from({ length: first.numGroups }, () => [] as number[]);
  row.forEach((group, expert) => groups[group]?.push(expert));
  const map = writtenExperts(groups);
  assert(
    groups.every((experts, group) => experts.length === first.expertsOf(expertGroupId(group)).length),
    'a move leaves the sizes of groups as they are',
    { sizes: groups.map(({ length }) => length).join(', ') },
  );
  return { map, rankOf_E: rankOf_E(map) };
}

/** Who stands in a map where `expert` stands in another one of the same sizes. */
function counterpart(expert: number, from: ExpertMap, to: ExpertMap): number {
  const group = from.groupOf(expert);
  const found = to.expertsOf(group)[from.expertsOf(group).indexOf(expert)];
  assert(found !== undefined, 'groups keep their sizes', { group });
  return found;
}
