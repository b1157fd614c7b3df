import type { RunEvent, StepEvent } from '../run-event.ts';

/** Numbers of a step that make a curve. */
const stepSeries = [
  'loss',
  'auxLoss',
  'gradNorm',
  'learningRate',
  'tokens',
  'tokensPerSecond',
  'mfu',
  'maxExpertLoad',
  'kernelShare',
  'maxVio',
  'dropRate',
] as const satisfies readonly (keyof StepEvent)[];

/** A point of a curve. NaN stays NaN: a run that went wrong shows where. */
export interface Point {
  /** `train/loss`, `eval/loss`. */
  readonly series: string;
  readonly value: number;
}

/** Names of all curves, in a fixed order. */
export const seriesNames: readonly string[] = [...stepSeries.map((name) => `train/${name}`), 'eval/loss'];

/** What an event adds to the curves, and at which step; null: nothing. */
export function pointsOf(
  event: RunEvent,
): { readonly step: number; readonly points: readonly Point[] } | null {
  switch (event.event) {
    case 'step': {
      const points = stepSeries.flatMap((name) => {
        const value = event[name];
        return value === null ? [] : [{ series: `train/${name}`, value }];
      });
      return { step: event.step, points };
    }
    case 'eval':
      return { step: event.step, points: [{ series: 'eval/loss', value: event.loss }] };
    default:
      return null;
  }
}
