import { granularLoss } from '../loss.ts';
import type { LawSet } from '../law-set.ts';
import { granularLawOf } from '../law-sets.ts';
import type { Arm, ArmPoint, Noise } from './arms.ts';

/** Whether a difference is more than the noise: `none` when it is not, `unknown` when nobody knows the noise. */
export type Verdict = 'better' | 'worse' | 'none' | 'unknown';

/** By how much a loss is lower than that of whole experts (G = 1), nats a token. */
export interface Gain {
  /** Positive: the finer (or dense) model is better. */
  readonly value: number;
  readonly verdict: Verdict;
}

/** A model against one of whole experts with the same router, size and tokens. */
export interface Comparison {
  readonly arm: Arm;
  readonly point: ArmPoint;
  /** The router of the whole experts. */
  readonly router: string | null;
  /** Two standard deviations of a difference of two such losses; null: no run was repeated. */
  readonly band: number | null;
  /** At as many tokens. */
  readonly atTokens: Gain;
  /** At as many FLOPs, routers among them; null: whole experts were not trained near so many. */
  readonly atFlops: Gain | null;
  /** At as many seconds of training; null as well. */
  readonly atSeconds: Gain | null;
  /** What the law says of {@link atTokens}; null for dense models, whose law is a fit of its own: far from the runs of both, their difference says nothing. */
  readonly law: number | null;
}

/** How far beyond the trained ones, as a factor, a budget may lie. */
const BEYOND = 1.5;

/**
 * Loss of a model at a budget between (or near) those that it was trained with, on a line over the logarithm of the budget.
 *
 * @param budgetOf - FLOPs or seconds; null: not known
 * @returns null where it would be a guess
 */
export function lossAt(
  { points }: Arm,
  budgetOf: (point: ArmPoint) => number | null,
  budget: number | null,
): number | null {
  const known = points
    .flatMap((point): readonly (readonly [number, number])[] => {
      const at = budgetOf(point);
      return at === null ? [] : [[Math.log(at), point.loss]];
    })
    .toSorted(([a], [b]) => a - b);
  if (budget === null) return null;
  const x = Math.log(budget);
  const above = known.findIndex(([at]) => at >= x);
  const right = Math.max(1, above < 0 ? known.length - 1 : above);
  const [from, to] = [known[right - 1], known[right]];
  if (from === undefined || to === undefined || from[0] === to[0]) return null;
  if (x < from[0] - Math.log(BEYOND) || x > to[0] + Math.log(BEYOND)) return null;
  return from[1] + ((x - from[0]) / (to[0] - from[0])) * (to[1] - from[1]);
}

function judged(value: number, band: number | null): Gain {
  const verdict =
    band === null ? 'unknown' : Math.abs(value) <= band ? 'none' : value > 0 ? 'better' : 'worse';
  return { value, verdict };
}

/** The law's difference between whole experts and finer ones, at the same tokens. */
function lawGain(law: LawSet, whole: Arm, arm: Arm, tokens: number): number | null {
  if (arm.expansion === 1) return null;
  const granular = granularLawOf(law);
  const lossOf = ({ paramsTotal: params, granularity }: Arm): number =>
    granularLoss(granular, { params, tokens, granularity });
  return lossOf(whole) - lossOf(arm);
}

/**
 * Every model against whole experts: finer ones of the same router, dense ones against those of each router.
 *
 * The band is of a difference: the deviation of a run times √(1/n + 1/m) for means over n and m seeds, twice.
 */
export function comparisons(arms: readonly Arm[], noise: Noise | null, law: LawSet): readonly Comparison[] {
  return arms
    .filter(({ expansion, granularity }) => expansion > 1 && granularity === 1)
    .flatMap((whole) =>
      arms
        .filter(
          (arm) =>
            arm.paramsActive === whole.paramsActive &&
            (arm.expansion === 1 ||
              (arm.expansion === whole.expansion && arm.router === whole.router && arm.granularity !== 1)),
        )
        .flatMap((arm) => arm.points.flatMap((point) => comparison(whole, arm, point, noise, law) ?? [])),
    );
}

function comparison(
  whole: Arm,
  arm: Arm,
  point: ArmPoint,
  noise: Noise | null,
  law: LawSet,
): Comparison | null {
  const same = whole.points.find(({ tokens }) => tokens === point.tokens);
  if (same === undefined) return null;
  const band = noise === null ? null : 2 * noise.deviation * Math.sqrt(1 / same.numRuns + 1 / point.numRuns);
  const against = (loss: number | null): Gain | null =>
    loss === null ? null : judged(loss - point.loss, band);
  return {
    arm,
    point,
    router: whole.router,
    band,
    atTokens: judged(same.loss - point.loss, band),
    atFlops: against(lossAt(whole, ({ flops }) => flops, point.flops)),
    atSeconds: against(lossAt(whole, ({ seconds }) => seconds, point.seconds)),
    law: lawGain(law, whole, arm, point.tokens),
  };
}
