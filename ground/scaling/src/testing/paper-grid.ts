import { prng } from '@troupe/core';
import { granularLawOf, lawSet } from '../law-sets.ts';
import { granularLoss } from '../loss.ts';
import { activeParams, totalParams } from '../shape.ts';
import type { RunRow } from '../fit/run-row.ts';

const all = [1, 2, 4, 8, 16];
/** Width, blocks, tokens in 10^9 and granularities of the runs that arXiv:2402.07871 fitted at 64 times the parameters. */
const grid: readonly (readonly [number, number, readonly number[], readonly number[]])[] = [
  [256, 4, [16, 33, 66], all],
  [384, 4, [16, 33, 66], all],
  [512, 4, [16, 33, 66], all],
  [512, 4, [130], [1, 2, 4]],
  [512, 8, [16, 33], all],
  [512, 8, [66], [1, 2, 4, 8]],
  [640, 10, [16, 33], all],
  [640, 10, [66], [1, 2, 4]],
  [768, 12, [33], [1, 2, 4]],
];
const EXPANSION = 64;

export const paperLaw = granularLawOf(lawSet('granular-e64'));

/** The runs of the paper's grid with the losses of its law and normal noise, as synthetic data. */
export function paperRuns(seed: number, sigma: number): readonly (RunRow & { readonly truth: number })[] {
  const draw = prng({ seed, purpose: 'scaling.noise' });
  const cells = grid.flatMap(([dModel, blocks, billions, granularities]) =>
    billions.flatMap((billion) =>
      granularities.map((granularity) => ({ shape: { dModel, blocks }, tokens: billion * 1e9, granularity })),
    ),
  );
  return cells.map(({ shape, tokens, granularity }, index) => {
    const paramsTotal = totalParams(shape, EXPANSION);
    const truth = granularLoss(paperLaw, { params: paramsTotal, tokens, granularity });
    // Box and Muller's.
    const radius = Math.sqrt(-2 * Math.log(1 - draw.uniform(2 * index)));
    const noise = sigma * radius * Math.cos(2 * Math.PI * draw.uniform(2 * index + 1));
    return {
      paramsActive: activeParams(shape),
      paramsTotal,
      tokens,
      granularity,
      expansion: EXPANSION,
      loss: truth + noise,
      truth,
    };
  });
}
