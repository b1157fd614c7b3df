import { assert } from '@troupe/core';

/** What had been spent on a model when it had a loss. */
export interface CurvePoint {
  /** Steps of the optimizer. */
  readonly updates: number;
  /** Targets that it was trained on. */
  readonly tokens: number;
  /** null: not known. */
  readonly flops: number | null;
  /** Nats a token. */
  readonly loss: number;
}

/** A training, by rising updates. */
export interface LossCurve {
  readonly name: string;
  readonly points: readonly CurvePoint[];
}

/** Where a run is as good as another one at its end. */
export interface Reached {
  /** The run. */
  readonly name: string;
  /** The other one. */
  readonly target: string;
  /** The other one's last loss. */
  readonly loss: number;
  /** null: the run never is as good. */
  readonly at: CurvePoint | null;
  /** Updates of the run over all updates of the other one: below 1 it learns with fewer; null: never as good. */
  readonly share: number | null;
}

const lastOf = ({ name, points }: LossCurve): CurvePoint => {
  const last = points.at(-1);
  assert(last !== undefined, 'a curve has a point', { name });
  return last;
};

/**
 * Each loss as the mean of itself and the ones before it, `window` of them (fewer at the start): single batches are easier or harder.
 *
 * @param window - points, ≥ 1
 */
export function smoothedCurve({ name, points }: LossCurve, window: number): LossCurve {
  assert(window >= 1, 'a mean of at least one loss', { window });
  const meanOf = (some: readonly CurvePoint[]): number =>
    some.reduce((sum, { loss }) => sum + loss, 0) / some.length;
  return {
    name,
    points: points.map((point, index) => ({
      ...point,
      loss: meanOf(points.slice(Math.max(0, index + 1 - window), index + 1)),
    })),
  };
}

/**
 * The first place at which a curve is as low as `loss`, on the line between the points around it; updates are rounded up.
 *
 * @returns null when it never is
 */
export function firstAt({ points }: LossCurve, loss: number): CurvePoint | null {
  const index = points.findIndex((point) => point.loss <= loss);
  const [before, after] = [points[index - 1], points[index]];
  if (after === undefined) return null;
  if (before === undefined || after.loss === loss) return after;
  const part = (before.loss - loss) / (before.loss - after.loss);
  const between = (from: number, to: number): number => from + part * (to - from);
  return {
    // What rounding adds to a whole number is not another update.
    updates: Math.ceil(between(before.updates, after.updates) - 1e-6),
    tokens: Math.round(between(before.tokens, after.tokens)),
    flops: before.flops === null || after.flops === null ? null : between(before.flops, after.flops),
    loss,
  };
}

/**
 * For each two runs, where one is as good as the other at its end: how much less a model needs to learn the same.
 *
 * A run that itself is lower before its end reaches its own last loss earlier, which says that it got worse again.
 */
export const sampleEfficiency = (curves: readonly LossCurve[]): readonly Reached[] =>
  curves.flatMap((curve) =>
    curves.map((other): Reached => {
      const { loss, updates } = lastOf(other);
      const at = firstAt(curve, loss);
      return {
        name: curve.name,
        target: other.name,
        loss,
        at,
        share: at === null ? null : at.updates / updates,
      };
    }),
  );
