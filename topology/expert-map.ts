import { assert } from '@troupe/core';
import { expertGroupId, type ExpertGroupId } from './layout/rank.ts';

/** Of how many experts in how many groups. */
export interface ExpertMapShape {
  readonly numExperts: number;
  readonly numGroups: number;
}

/**
 * Which group has which experts of a layer.
 *
 * MAP-1: every expert is in one group. A group may be larger than another, or empty.
 */
export interface ExpertMap extends ExpertMapShape {
  readonly groupOf: (expert: number) => ExpertGroupId;
  /** In rising order: also the order in which the group computes them. */
  readonly expertsOf: (group: ExpertGroupId) => readonly number[];
}

/** Group r has experts [r·n, (r+1)·n), n = experts / groups: computed, so that it costs nothing however many there are. */
export function contiguousExperts(numExperts: number, numGroups: number): ExpertMap {
  assert(numExperts % numGroups === 0, 'groups divide the experts', { numExperts, numGroups });
  const each = numExperts / numGroups;
  return {
    numExperts,
    numGroups,
    groupOf: (expert) => {
      assert(expert >= 0 && expert < numExperts, 'an expert is one of the layer', { expert, numExperts });
      return expertGroupId(Math.floor(expert / each));
    },
    expertsOf: (group) => {
      assert(group < numGroups, 'a group is one of the layer', { group, numGroups });
      return Array.from({ length: each }, (_, index) => group * each + index);
    },
  };
}

/** A map written by hand: the experts of each group, in any order. */
export function writtenExperts(groups: readonly (readonly number[])[]): ExpertMap {
  const sorted = groups.map((experts) => experts.toSorted((a, b) => a - b));
  const groupOf: ExpertGroupId[] = [];
  for (const [group, experts] of sorted.entries())
    for (const expert of experts) {
      assert(groupOf[expert] === undefined, 'an expert is in one group', { expert, group });
      groupOf[expert] = expertGroupId(group);
    }
  const numExperts = sorted.reduce((sum, experts) => sum + experts.length, 0);
  assert(groupOf.length === numExperts, 'every expert is in a group', { groups: sorted.length, numExperts });
  return {
    numExperts,
    numGroups: sorted.length,
    groupOf: (expert) => {
      const group = groupOf[expert];
      assert(group !== undefined, 'an expert is one of the layer', { expert, numExperts });
      return group;
    },
    expertsOf: (group) => {
      const experts = sorted[group];
      assert(experts, 'a group is one of the layer', { group });
      return experts;
    },
  };
}

/**
 * Groups of equal size (one more in the first ones, where they do not divide), whose loads are as even as a greedy choice makes them: the
 * expert with the most rows first, to the group that has the fewest so far and is not full. Ties go to the lower index.
 *
 * @param load_E - rows of every expert
 * @see Graham 1969, Bounds on Multiprocessing Timing Anomalies: longest processing time first
 */
export function balancedExperts(load_E: ArrayLike<number>, numGroups: number): ExpertMap {
  const numExperts = load_E.length;
  const load = (expert: number): number => load_E[expert] ?? 0;
  const groups = Array.from({ length: numGroups }, (_, group) => ({
    experts: [] as number[],
    room: Math.floor(numExperts / numGroups) + (group < numExperts % numGroups ? 1 : 0),
    rows: 0,
  }));
  const byLoad = Array.from({ length: numExperts }, (_, expert) => expert).toSorted(
    (a, b) => load(b) - load(a) || a - b,
  );
  for (const expert of byLoad) {
    const open = groups.filter(({ experts, room }) => experts.length < room);
    const lightest = open.reduce((best, each) => (each.rows < best.rows ? each : best));
    lightest.experts.push(expert);
    lightest.rows += load(expert);
  }
  return writtenExperts(groups.map(({ experts }) => experts));
}

/** The experts of each group, in every layer alike, or such lists for each layer with experts. */
export type WrittenExperts = readonly (readonly number[])[] | readonly (readonly (readonly number[])[])[];

/** Whether lists are written layer by layer. */
export const isByLayer = (written: WrittenExperts): written is readonly (readonly (readonly number[])[])[] =>
  written.some((each) => each.some((item) => typeof item !== 'number'));

/**
 * The maps that a topology says.
 *
 * @param layers - that have experts, rising
 */
export function expertMaps(
  said: 'contiguous' | 'balanced' | WrittenExperts,
  { layers, numExperts, numGroups }: ExpertMapShape & { readonly layers: readonly number[] },
): (layer: number) => ExpertMap {
  // What is to be balanced by load begins in equal runs: nobody knows the load yet.
  if (typeof said === 'string') {
    const contiguous = contiguousExperts(numExperts, numGroups);
    return () => contiguous;
  }
  if (!isByLayer(said)) {
    const map = writtenExperts(said);
    return () => map;
  }
  const maps = new Map(layers.map((layer, index) => [layer, writtenExperts(said[index] ?? [])]));
  return (layer) => {
    const map = maps.get(layer);
    assert(map, 'a map is for a layer with experts', { layer });
    return map;
  };
}

/** The group of every expert, as kernels that deal rows to groups take it. */
export const rankOf_E = ({ numExperts, groupOf }: ExpertMap): Int32Array =>
  Int32Array.from({ length: numExperts }, (_, expert) => groupOf(expert));
