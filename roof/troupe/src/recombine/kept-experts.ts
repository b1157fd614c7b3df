import { prng } from '@troupe/core';

/** In which order the experts of a layer are kept; a comparison as `sort` takes it. */
type Order = (a: number, b: number) => number;

/** @param order - the first are kept, as many of each group */
function firstOf(order: Order, experts: number, { keep, groups }: Kept): readonly number[] {
  const [each, of] = [keep / groups, experts / groups];
  return Array.from({ length: groups }, (_, group) => group * of).flatMap((first) =>
    Array.from({ length: of }, (_, index) => first + index)
      .toSorted(order)
      .slice(0, each)
      .toSorted((a, b) => a - b),
  );
}

export interface Kept {
  /** Experts of a layer that stay. */
  readonly keep: number;
  /** Equal runs of experts, each of which keeps as many; divides both numbers. */
  readonly groups: number;
}

/**
 * The experts that were chosen most, in their order; of two that were chosen as often the lower one.
 *
 * @param counts_E - choices of each expert of a layer
 */
export const mostChosen = (counts_E: ArrayLike<number>, kept: Kept): readonly number[] =>
  firstOf((a, b) => (counts_E[b] ?? 0) - (counts_E[a] ?? 0) || a - b, counts_E.length, kept);

/** Experts of a layer by lot, the same ones for a seed. */
export function drawnExperts(
  { seed, layer, experts }: { readonly seed: number; readonly layer: number; readonly experts: number },
  kept: Kept,
): readonly number[] {
  const draws = prng({ seed, purpose: `prune/L${layer}` });
  return firstOf((a, b) => draws.bits(a) - draws.bits(b) || a - b, experts, kept);
}
