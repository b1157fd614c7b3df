import { rootBetween, minimumBetween } from './search.ts';
import type { GranularLaw } from './law-set.ts';
import { granularLoss } from './loss.ts';
import {
  activeParams,
  paperCost,
  shapeOfWidth,
  tokenFlops,
  totalParams,
  type FlopsCost,
  type Shape,
} from './shape.ts';

/** A model, its training and what the law says of them. */
export interface Optimum {
  readonly shape: Shape;
  readonly paramsActive: number;
  readonly params: number;
  readonly tokens: number;
  readonly flops: number;
  readonly loss: number;
}

export interface GranularOptimum extends Optimum {
  readonly granularity: number;
}

/** A law of fine-grained experts, at one expansion and one price of FLOPs. */
export interface GranularProblem {
  readonly law: GranularLaw;
  readonly expansion: number;
  /** Default: the paper's. */
  readonly cost?: FlopsCost;
}

/** Granularities that are compared. */
export const granularities: readonly number[] = Array.from({ length: 11 }, (_, power) => 2 ** power);

/** Natural logarithms of the widths and the FLOPs among which optima are looked for. */
const logWidthRange = { least: 0, most: Math.log(1e8) };
export const logFlopsRange = { least: Math.log(1e9), most: Math.log(1e40) };

/** The best width and number of tokens of one granularity for so many FLOPs. */
export function optimumAtFlops(
  { law, expansion, cost = paperCost }: GranularProblem,
  flops: number,
  granularity: number,
): GranularOptimum {
  const at = (logWidth: number): GranularOptimum => {
    const shape = shapeOfWidth(Math.exp(logWidth));
    const tokens = flops / tokenFlops(shape, { expansion, granularity }, cost);
    const params = totalParams(shape, expansion);
    const loss = granularLoss(law, { params, tokens, granularity });
    return { granularity, shape, paramsActive: activeParams(shape), params, tokens, flops, loss };
  };
  return at(minimumBetween(logWidthRange.least, logWidthRange.most, (logWidth) => at(logWidth).loss));
}

const least = <Item>(items: readonly Item[], value: (item: Item) => number): Item =>
  items.reduce((best, item) => (value(item) < value(best) ? item : best));

/** The best of all granularities for so many FLOPs. */
export const bestAtFlops = (
  problem: GranularProblem,
  flops: number,
  among: readonly number[] = granularities,
): GranularOptimum =>
  least(
    among.map((granularity) => optimumAtFlops(problem, flops, granularity)),
    ({ loss }) => loss,
  );

/** FLOPs at which a model of so many active parameters is the best one of its granularity. */
function flopsForActive(problem: GranularProblem, paramsActive: number, granularity: number): number | null {
  const excess = (logFlops: number): number =>
    optimumAtFlops(problem, Math.exp(logFlops), granularity).paramsActive - paramsActive;
  const found = rootBetween(logFlopsRange.least, logFlopsRange.most, excess);
  return found === null ? null : Math.exp(found);
}

/**
 * The budget that a model of so many active parameters is the best use of, and its granularity.
 *
 * Where the best granularity changes, active parameters jump, so that one or two granularities claim a size: the one that loses least
 * against the best use of its own budget is taken, and of two such the cheaper one.
 */
export function bestForActive(
  problem: GranularProblem,
  paramsActive: number,
  among: readonly number[] = granularities,
): GranularOptimum | null {
  const claims = among.flatMap((granularity) => {
    const flops = flopsForActive(problem, paramsActive, granularity);
    if (flops === null) return [];
    const own = optimumAtFlops(problem, flops, granularity);
    return [{ own, lost: own.loss - bestAtFlops(problem, flops, among).loss }];
  });
  if (claims.length === 0) return null;
  const smallest = Math.min(...claims.map(({ lost }) => lost));
  return least(
    claims.filter(({ lost }) => lost <= smallest).map(({ own }) => own),
    ({ flops }) => flops,
  );
}

/** FLOPs from which a granularity is better than half of it; null: nowhere. */
export function switchPoint(problem: GranularProblem, granularity: number): number | null {
  const gain = (logFlops: number): number =>
    optimumAtFlops(problem, Math.exp(logFlops), granularity / 2).loss -
    optimumAtFlops(problem, Math.exp(logFlops), granularity).loss;
  const found = rootBetween(logFlopsRange.least, logFlopsRange.most, gain);
  return found === null ? null : Math.exp(found);
}
