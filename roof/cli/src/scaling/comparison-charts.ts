import type { Arm, ArmPoint, Comparison } from '@troupe/scaling';
import { figure } from './figure.ts';
import type { LineChart, Series } from './line-chart.ts';

const lossAxis = { title: 'loss, nats a token', isLog: false, shown: (value: number) => value.toFixed(2) };
const exponent = (value: number): string => value.toExponential(1).replace('.0', '').replace('e+', 'e');

/** Routers where there is no room. */
const shortNames: Readonly<Record<string, string>> = { 'expert-choice': 'ec', 'token-choice': 'tc' };

/** Round numbers between the least and the most: budgets of a comparison span less than two powers of ten. */
function ticksBetween(values: readonly number[]): readonly number[] {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const powers = Array.from({ length: 40 }, (_, index) => 10 ** (index - 5));
  return powers
    .flatMap((power) => [1, 1.5, 2, 3, 5, 7].map((digit) => digit * power))
    .filter((tick) => tick >= least && tick <= most);
}

/** `expert-choice, G 4` */
const nameOf = ({ router, granularity, expansion }: Arm): string =>
  expansion === 1 ? 'dense' : [...(router === null ? [] : [router]), `G ${granularity}`].join(', ');

const budgets = {
  flops: {
    title: 'Loss by FLOPs of training, routers among them',
    axis: { title: 'FLOPs of training', isLog: true, shown: exponent },
    of: ({ flops }: ArmPoint): number | null => flops,
  },
  seconds: {
    title: 'Loss by seconds of training on this machine',
    axis: {
      title: 'seconds of training',
      isLog: true,
      shown: (value: number) => String(Number(value.toPrecision(3))),
    },
    of: ({ seconds }: ArmPoint): number | null => seconds,
  },
} as const;

/** A curve for each model, those of the same kind in the same colour; null where no run says its budget. */
export function lossChart(arms: readonly Arm[], budget: keyof typeof budgets): LineChart | null {
  const { title, axis, of } = budgets[budget];
  const names = [...new Set(arms.map(nameOf))];
  const seen = new Set<string>();
  const series = arms.flatMap((arm): readonly Series[] => {
    const points = arm.points.flatMap((point): readonly (readonly [number, number])[] => {
      const at = of(point);
      return at === null ? [] : [[at, point.loss]];
    });
    if (points.length === 0) return [];
    const name = nameOf(arm);
    const label = seen.has(name) ? '' : name;
    seen.add(name);
    return [
      { label, points, colour: names.indexOf(name), hasDots: true, isDashed: arm.router === 'token-choice' },
    ];
  });
  return series.length === 0
    ? null
    : {
        title,
        x: { ...axis, ticks: ticksBetween(series.flatMap(({ points }) => points.map(([at]) => at))) },
        y: lossAxis,
        series,
      };
}

/** By how much each granularity is better than whole experts at as many tokens: measured, and as the law has it; null: nothing to compare. */
export function gainChart(comparisons: readonly Comparison[], lawName: string): LineChart | null {
  const fine = comparisons.filter(({ arm }) => arm.expansion > 1);
  const keyOf = ({ arm, point, router }: Comparison): string =>
    [
      ...(router === null ? [] : [shortNames[router] ?? router]),
      figure(arm.paramsActive),
      figure(point.tokens),
    ].join(' ');
  const keys = [...new Set(fine.map(keyOf))];
  const band = fine.reduce((most, each) => Math.max(most, each.band ?? 0), 0);
  const series = keys.flatMap((key, colour): readonly Series[] => {
    const own = fine.filter((each) => keyOf(each) === key);
    const line = (value: (each: Comparison) => number | null): readonly (readonly [number, number])[] => [
      [0, 0],
      ...own.flatMap((each): readonly (readonly [number, number])[] => {
        const gain = value(each);
        return gain === null ? [] : [[Math.log2(each.arm.granularity), gain]];
      }),
    ];
    return [
      { label: key, colour, hasDots: true, points: line(({ atTokens }) => atTokens.value) },
      { label: '', colour, isDashed: true, points: line(({ law }) => law) },
    ];
  });
  if (series.length === 0) return null;
  return {
    title: `Gain over whole experts (G 1) at as many tokens; broken: ${lawName}`,
    x: {
      title: 'granularity',
      isLog: false,
      ticks: [...new Set([0, ...fine.map(({ arm }) => Math.log2(arm.granularity))])],
      shown: (value) => String(Math.round(2 ** value)),
    },
    y: { title: 'loss of G 1 minus loss, nats a token', isLog: false, shown: (value) => value.toFixed(2) },
    series,
    ...(band === 0 ? {} : { band: { from: -band, to: band, label: 'noise' } }),
  };
}
