import { granularLawOf, paperCost } from '@troupe/scaling';
import { UsageError } from '../errors.ts';
import { OutputFile } from '../output-file.ts';
import { print, printJson } from '../output.ts';
import type { CommonOptions } from '../verb.ts';
import { granularityCurve, isoFlopCurves, lossCurves } from './curves.ts';
import { expansionOf, lawOfFlags, type LawFlags } from './law-flag.ts';
import { drawLines, type LineChart } from './line-chart.ts';

export interface PlotFlags extends CommonOptions, LawFlags {
  readonly kind: 'loss' | 'iso-flop' | 'granularity';
  readonly out: string;
  readonly flops: readonly string[];
}

const usualBudgets = [1e18, 1e19, 1e20, 1e21, 1e22];

export function plot(flags: PlotFlags): void {
  const { kind, out } = flags;
  if (flags.flops.length > 0 && kind !== 'iso-flop')
    throw new UsageError(`--flops: '${kind}' shows all budgets; leave it out, or draw --kind iso-flop`);
  const output = new OutputFile('--out', out);
  const set = lawOfFlags(flags);
  const problem = { law: granularLawOf(set), expansion: expansionOf(set, flags), cost: paperCost };
  const budgets = flags.flops.length === 0 ? usualBudgets : flags.flops.map(Number);
  const charts: Readonly<Record<PlotFlags['kind'], () => LineChart>> = {
    loss: () => lossCurves(problem, set.dense, set.name),
    'iso-flop': () => isoFlopCurves(problem, budgets, set.name),
    granularity: () => granularityCurve(problem, set.name),
  };
  const chart = charts[kind]();
  output.write(drawLines(chart));
  if (flags.json === true) {
    const series = chart.series.map(({ label, points }) => ({ label, points }));
    printJson({ event: 'plot', law: set.name, kind, file: out, x: chart.x.title, y: chart.y.title, series });
  } else print(`wrote ${out}: ${chart.title}`);
}
