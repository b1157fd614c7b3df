import {
  bestAtFlops,
  denseAtFlops,
  granularities,
  granularLoss,
  optimumAtFlops,
  paperCost,
  shapeOfActive,
  tokenFlops,
  totalParams,
  type DenseLaw,
  type GranularProblem,
} from '@troupe/scaling';
import { figure } from './figure.ts';
import type { LineChart, Series } from './line-chart.ts';

/** Budgets of a picture over FLOPs, from 1e17 to 1e26. */
const budgets = Array.from({ length: 91 }, (_, index) => 10 ** (17 + index / 10));
/** Granularities that are told apart in a picture. */
const shownGranularities = [1, 4, 16, 64];
const exponent = (value: number): string => value.toExponential(0).replace('e+', 'e');
const flopsAxis = { title: 'FLOPs of training', isLog: true, shown: exponent };
const lossAxis = { title: 'loss, nats a token', isLog: false, shown: (value: number) => value.toFixed(1) };

/** Loss of the best model of each budget: of single granularities and of dense models. */
export function lossCurves(problem: GranularProblem, dense: DenseLaw | undefined, name: string): LineChart {
  const series = shownGranularities.map((granularity): Series => ({
    label: `G ${granularity}`,
    points: budgets.map((flops) => [flops, optimumAtFlops(problem, flops, granularity).loss]),
  }));
  const denseSeries: readonly Series[] =
    dense === undefined
      ? []
      : [
          {
            label: 'dense',
            isDashed: true,
            points: budgets.map((flops) => [flops, denseAtFlops(dense, flops, problem.cost).loss]),
          },
        ];
  return {
    title: `Loss of the best model of a budget (${name}, expansion ${problem.expansion})`,
    x: flopsAxis,
    y: lossAxis,
    series: [...series, ...denseSeries],
  };
}

/** How far from the best size, as a factor, a curve of one budget goes. */
const AROUND = 30;

/** Loss of models of every size at the same budget, each at the granularity of the best. */
export function isoFlopCurves(
  problem: GranularProblem,
  flopsOfCurves: readonly number[],
  name: string,
): LineChart {
  const series = flopsOfCurves.map((flops): Series => {
    const best = bestAtFlops(problem, flops);
    const points = Array.from({ length: 61 }, (_, index): readonly [number, number] => {
      const paramsActive = best.paramsActive * AROUND ** (index / 30 - 1);
      const shape = shapeOfActive(paramsActive);
      const experts = { expansion: problem.expansion, granularity: best.granularity };
      const tokens = flops / tokenFlops(shape, experts, problem.cost ?? paperCost);
      const params = totalParams(shape, problem.expansion);
      return [paramsActive, granularLoss(problem.law, { params, tokens, granularity: best.granularity })];
    });
    return {
      label: `${exponent(flops)}, G ${best.granularity}`,
      points,
      mark: [best.paramsActive, best.loss],
    };
  });
  return {
    title: `Loss at equal FLOPs (${name}, expansion ${problem.expansion})`,
    x: { title: 'active parameters', isLog: true, shown: figure },
    y: lossAxis,
    series,
  };
}

/** The best granularity of each budget: steps. */
export function granularityCurve(problem: GranularProblem, name: string): LineChart {
  const best = budgets.map((flops) => bestAtFlops(problem, flops, granularities).granularity);
  const points = budgets.flatMap((flops, index): readonly (readonly [number, number])[] => {
    const [here = 1, before = here] = [best[index], best[index - 1]];
    return here === before
      ? [[flops, Math.log2(here)]]
      : [
          [flops, Math.log2(before)],
          [flops, Math.log2(here)],
        ];
  });
  return {
    title: `Best granularity of a budget (${name}, expansion ${problem.expansion})`,
    x: flopsAxis,
    y: {
      title: 'granularity',
      isLog: false,
      shown: (value) => (Number.isInteger(value) ? String(2 ** value) : ''),
    },
    series: [{ label: 'best G', points }],
  };
}
