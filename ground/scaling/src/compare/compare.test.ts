import test from 'ava';
import { granularLawOf, lawSet } from '../law-sets.ts';
import { granularLoss } from '../loss.ts';
import { armsOf, noiseOf } from './arms.ts';
import { comparisons, lossAt } from './gains.ts';
import { measuredRun } from './measured-run.ts';

const law = lawSet('granular-e16');

/** A run whose loss falls by a tenth of a nat with each doubling of its FLOPs, and by what its granularity brings. */
function run(
  granularity: number,
  tokens: number,
  {
    more = 0,
    seconds = tokens / 1e4,
    router = 'expert-choice',
  }: { more?: number; seconds?: number; router?: string } = {},
) {
  const flops = tokens * (100 + 10 * granularity);
  const row = {
    paramsActive: 1e5,
    paramsTotal: 6e5,
    tokens,
    granularity,
    expansion: 8,
    loss: 5 - 0.1 * Math.log2(flops / 1e8) - 0.05 * Math.log2(granularity) + more,
    router,
    flops,
    seconds,
    heldOutLoss: 5,
  };
  return measuredRun(row);
}

const denseRow = {
  paramsActive: 1e5,
  paramsTotal: 1e5,
  tokens: 1e6,
  granularity: 1,
  expansion: 1,
  loss: 5.5,
  flops: 1e8,
  seconds: 60,
  router: null,
};
const dense = measuredRun(denseRow);

const byLoss = ({ loss }: { readonly loss: number }): number => loss;

test('compare: the noise is that of runs which differ in their seeds alone', (t) => {
  t.is(noiseOf([run(1, 1e6), run(2, 1e6), run(1, 2e6)], byLoss), null);
  // -0.01, 0, 0.01: a deviation of 0.01; and 0, 0.02: one of √2 · 0.01. Pooled: (2·1 + 1·2)/3.
  const runs = [
    ...[-0.01, 0, 0.01].map((more) => run(1, 1e6, { more })),
    ...[0, 0.02].map((more) => run(2, 1e6, { more })),
    run(4, 1e6),
  ];
  const noise = noiseOf(runs, byLoss);
  t.is(noise?.numRuns, 5);
  t.true(Math.abs((noise?.deviation ?? 0) - 0.01 * Math.sqrt(4 / 3)) < 1e-12);
  t.deepEqual(
    armsOf(runs, byLoss).map(({ granularity, points }) => [
      granularity,
      points.map(({ numRuns }) => numRuns),
    ]),
    [
      [1, [3]],
      [2, [2]],
      [4, [1]],
    ],
  );
});

test('compare: gains at equal tokens, FLOPs and seconds, judged by the noise', (t) => {
  const runs = [1, 4].flatMap((granularity) => [1e6, 2e6].map((tokens) => run(granularity, tokens)));
  const noisy = [...runs, dense, run(1, 1e6, { more: 0.02 }), run(1, 1e6, { more: -0.02 })];
  const noise = noiseOf(noisy, byLoss);
  const found = comparisons(armsOf(noisy, byLoss), noise, law);
  t.deepEqual(
    found.map(({ arm, point }) => [arm.expansion, arm.granularity, point.tokens]),
    [
      [1, 1, 1e6],
      [8, 4, 1e6],
      [8, 4, 2e6],
    ],
  );
  const [ofDense, fine] = found;
  // Two deviations of 0.02 of a difference of a run and a mean of three.
  t.true(Math.abs((fine?.band ?? 0) - 2 * 0.02 * Math.sqrt(1 + 1 / 3)) < 1e-12);
  // At equal tokens FLOPs of 140 against 110 help; at equal FLOPs granularity alone is left.
  t.true(Math.abs((fine?.atTokens.value ?? 0) - (0.1 + 0.1 * Math.log2(140 / 110))) < 1e-12);
  t.true(Math.abs((fine?.atFlops?.value ?? 0) - 0.1) < 1e-12);
  t.true(Math.abs((fine?.atSeconds?.value ?? 0) - (fine?.atTokens.value ?? 1)) < 1e-12);
  t.is(fine?.atFlops?.verdict, 'better');
  t.is(ofDense?.atTokens.verdict, 'worse');
  t.is(ofDense?.law, null);
  const lossOf = (granularity: number) =>
    granularLoss(granularLawOf(law), { params: 6e5, tokens: 1e6, granularity });
  t.is(fine?.law, lossOf(1) - lossOf(4));
  const louder = comparisons(armsOf(noisy, byLoss), { deviation: 0.1, numRuns: 3 }, law);
  t.is(louder[1]?.atFlops?.verdict, 'none');
  t.is(comparisons(armsOf(runs, byLoss), null, law)[0]?.atTokens.verdict, 'unknown');
});

test('compare: a budget far from those of whole experts is not guessed at, and routers are kept apart', (t) => {
  const runs = [
    run(1, 1e6),
    run(1, 2e6),
    run(2, 2e6, { seconds: 2000 }),
    run(2, 1e6, { router: 'token-choice' }),
  ];
  const arms = armsOf(runs, byLoss);
  const found = comparisons(arms, null, law);
  t.is(found.length, 1, 'whole experts whose tokens choose were not trained');
  t.is(found[0]?.atSeconds, null);
  t.not(found[0]?.atFlops, null);
  const whole = arms.find(({ granularity }) => granularity === 1) ?? t.fail();
  const middle = lossAt(whole, ({ tokens }) => tokens, Math.sqrt(2) * 1e6) ?? 0;
  t.true(Math.abs(middle - ((whole.points[0]?.loss ?? 0) + (whole.points[1]?.loss ?? 0)) / 2) < 1e-12);
  t.is(
    lossAt(whole, ({ tokens }) => tokens, 4e6),
    null,
  );
  t.is(
    lossAt(whole, ({ tokens }) => tokens, 1e5),
    null,
  );
});

test('compare: a line without FLOPs has those of its parameters', (t) => {
  const { flops, seconds, router } = measuredRun({
    paramsActive: 12 * 64 * 64 * 1,
    paramsTotal: 1,
    tokens: 10,
    granularity: 2,
    expansion: 8,
    loss: 1,
  });
  t.true(Math.abs(flops - 10 * (6 * 12 * 64 * 64 + 14 * 64 * 16)) < 1e-3);
  t.deepEqual([seconds, router], [null, null]);
});
