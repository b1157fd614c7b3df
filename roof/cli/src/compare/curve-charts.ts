import type { CurvePoint, LossCurve } from '@troupe/scaling';
import { figure } from '../scaling/figure.ts';
import type { LineChart, Series } from '../scaling/line-chart.ts';

const budgets = {
  updates: { title: 'updates', of: ({ updates }: CurvePoint): number | null => updates },
  tokens: { title: 'target tokens', of: ({ tokens }: CurvePoint): number | null => tokens },
  flops: { title: 'FLOPs of training', of: ({ flops }: CurvePoint): number | null => flops },
} as const;

const shownFlops = (value: number): string =>
  value === 0 ? '0' : value.toExponential(1).replace('.0', '').replace('e+', 'e');

/** A curve a run, over updates, tokens and FLOPs; a picture that no run has the numbers of is left out. */
export function curveCharts(curves: readonly LossCurve[], lossName: string): readonly LineChart[] {
  return (Object.keys(budgets) as readonly (keyof typeof budgets)[]).flatMap((name) => {
    const { title, of } = budgets[name];
    const series = curves.flatMap((curve, colour): readonly Series[] => {
      const points = curve.points.flatMap((point): readonly (readonly [number, number])[] => {
        const at = of(point);
        return at === null ? [] : [[at, point.loss]];
      });
      return points.length === 0
        ? []
        : [{ label: curve.name, points, colour, isDashed: colour > 7, hasDots: points.length <= 40 }];
    });
    return series.length === 0
      ? []
      : [
          {
            title: `${lossName} by ${title}`,
            x: { title, isLog: false, shown: name === 'flops' ? shownFlops : figure },
            y: { title: 'loss, nats a token', isLog: false, shown: (value) => value.toFixed(2) },
            series,
          },
        ];
  });
}
