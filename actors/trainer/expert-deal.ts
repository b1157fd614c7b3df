import { moeLayers } from '@troupe/spec';
import { balancedExperts, expertGroupId, type ExpertSeats } from '@troupe/topology/layout';

/** What of the rows of the most loaded groups must be saved for experts to move. */
export const LEAST_GAIN = 0.05;

/** Experts dealt anew. */
export interface ExpertDeal {
  /** Of every expert, layer by layer of those with experts. */
  readonly groups_LE: Int32Array;
  /** 1 - Σ rows of the most loaded group after / Σ before, over the layers: each layer waits for that group. */
  readonly gain: number;
  /** Experts whose group is another one. */
  readonly numMoved: number;
}

const sumOf = (values: readonly number[]): number => values.reduce((sum, each) => sum + each, 0);

/**
 * Deals experts to groups of equal size by the rows that each had; a layer that would not gain stays as it is, and so do all where the
 * gain is not above {@link LEAST_GAIN}.
 *
 * A pure function of exact counts: whatever the layout, the same run deals alike.
 *
 * @param load_LE - rows of every expert, layer by layer
 * @returns null: nothing moves
 */
export function dealExperts(load_LE: ArrayLike<number>, seats: ExpertSeats): ExpertDeal | null {
  const { layout } = seats;
  const { numGroups } = layout.experts;
  const experts = layout.model.moe?.experts ?? 0;
  const groups_LE = seats.groups_LE.slice();
  let [before, after] = [0, 0];
  for (const [index, layer] of moeLayers(layout.model).entries()) {
    const load_E = Array.from({ length: experts }, (_, expert) => load_LE[index * experts + expert] ?? 0);
    const now = Array.from({ length: numGroups }, (_, group) => seats.expertsOf(layer, group));
    const map = balancedExperts(load_E, numGroups);
    const dealt = now.map((_, group) => map.expertsOf(expertGroupId(group)));
    const most = (groups: readonly (readonly number[])[]): number =>
      Math.max(...groups.map((each) => sumOf(each.map((expert) => load_E[expert] ?? 0))));
    const [rows, fewer] = [most(now), most(dealt)];
    before += rows;
    after += Math.min(rows, fewer);
    if (fewer >= rows) continue;
    for (const [group, each] of keepingPlaces(now, dealt).entries())
      for (const expert of each) groups_LE[index * experts + expert] = group;
  }
  const gain = before === 0 ? 0 : 1 - after / before;
  if (gain <= LEAST_GAIN) return null;
  const numMoved = groups_LE.reduce((sum, group, at) => sum + (group === seats.groups_LE[at] ? 0 : 1), 0);
  return { groups_LE, gain, numMoved };
}

/** The same groups in another order, so that many experts stay where they are: pairs with most in common first, ties to the lower groups. */
function keepingPlaces(
  now: readonly (readonly number[])[],
  dealt: readonly (readonly number[])[],
): readonly (readonly number[])[] {
  const pairs = now.flatMap((here, group) =>
    dealt.map((each, index) => ({ group, index, common: each.filter((e) => here.includes(e)).length })),
  );
  const placed = new Map<number, readonly number[]>();
  const taken = new Set<number>();
  for (const { group, index } of pairs.toSorted(
    (a, b) => b.common - a.common || a.group - b.group || a.index - b.index,
  )) {
    if (placed.has(group) || taken.has(index)) continue;
    placed.set(group, dealt[index] ?? []);
    taken.add(index);
  }
  return now.map((_, group) => placed.get(group) ?? []);
}
