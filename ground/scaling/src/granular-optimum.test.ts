/** Numbers of arXiv:2402.07871, and what follows from its printed digits, typed in. */
import test from 'ava';
import { denseAtFlops, denseForActive } from './dense-optimum.ts';
import { extrapolations } from './extrapolation.ts';
import { bestAtFlops, bestForActive, optimumAtFlops, switchPoint } from './granular-optimum.ts';
import { denseLawOf, granularLawOf, lawSet, nearestLawSet } from './law-sets.ts';
import { coarseOverFine, denseOverMoe } from './savings.ts';
import { paperCost, shapeOfActive, tokenFlops } from './shape.ts';

const problemOf = (name: string) => ({ law: granularLawOf(lawSet(name)), expansion: 64 });
const [precise, printed] = [problemOf('granular-e64'), problemOf('granular-e64-printed')];
const dense = denseLawOf(lawSet('granular-e64'));

const off = (found: number, expected: number): number => Math.abs(found / expected - 1);

/** Active parameters, tokens, granularity, FLOPs, loss. */
const table2 = [
  [100e6, 4.37e9, 8, 2.95e18, 3.133],
  [1e9, 28.94e9, 16, 1.93e20, 2.491],
  [3e9, 72.9e9, 16, 1.41e21, 2.245],
  [7e9, 137.6e9, 32, 6.46e21, 2.076],
  [70e9, 941.07e9, 32, 4.16e23, 1.694],
  [300e9, 2.96e12, 64, 5.69e24, 1.503],
  [1e12, 7.94e12, 64, 4.97e25, 1.367],
] as const;

test('FLOPs: those of table 2 from its sizes, within 1 %', (t) => {
  for (const [active, tokens, granularity, flops] of table2) {
    const found = tokenFlops(shapeOfActive(active), { expansion: 64, granularity }, paperCost) * tokens;
    t.true(off(found, flops) < 0.01, `${active}: ${found}`);
  }
});

for (const [name, problem, tokensOff, lossOff] of [
  ['printed', printed, 0.05, 0.025],
  ['precise', precise, 0.015, 0.005],
] as const)
  test(`table 2: granularities exact, tokens and loss within the tolerance of ${name} digits`, (t) => {
    for (const [active, tokens, granularity, , loss] of table2) {
      const found = bestForActive(problem, active);
      t.is(found?.granularity, granularity, `${active}`);
      t.true(off(found?.paramsActive ?? 0, active) < 1e-6);
      t.true(off(found?.tokens ?? 0, tokens) < tokensOff, `${active}: ${found?.tokens} tokens`);
      t.true(Math.abs((found?.loss ?? 0) - loss) < lossOff, `${active}: loss ${found?.loss}`);
    }
  });

test('dense: the closed form has the tokens and losses of printed digits, and is a minimum', (t) => {
  for (const [active, tokens, loss] of [
    [100e6, 4.484e9, 3.658],
    [1e9, 44.03e9, 2.855],
    [7e9, 303.5e9, 2.336],
    [70e9, 2.981e12, 1.866],
  ] as const) {
    const found = denseForActive(dense, active);
    t.true(off(found.tokens, tokens) < 5e-4, `${found.tokens}`);
    t.true(Math.abs(found.loss - loss) < 6e-4, `${found.loss}`);
    t.true(off(denseAtFlops(dense, found.flops).paramsActive, active) < 1e-9);
  }
});

test('iso-FLOP: granularity, sizes and losses of printed digits', (t) => {
  for (const [flops, granularity, active, tokens, loss] of [
    [1e18, 8, 5.67e7, 2.56e9, 3.305],
    [1e20, 16, 7.12e8, 2.08e10, 2.56],
    [1e22, 32, 9.07e9, 1.66e11, 2.015],
    [1e25, 64, 4.17e11, 3.77e12, 1.453],
  ] as const) {
    const found = bestAtFlops(printed, flops);
    t.is(found.granularity, granularity);
    t.true(off(found.paramsActive, active) < 0.002, `${found.paramsActive}`);
    t.true(off(found.tokens, tokens) < 0.003, `${found.tokens}`);
    t.true(Math.abs(found.loss - loss) < 6e-4, `${found.loss}`);
  }
});

test('savings: a dense model needs so many times the FLOPs, and the ratio rises all the way', (t) => {
  const ratioAt = (problem: typeof precise, flops: number): number =>
    denseOverMoe(dense, bestAtFlops(problem, flops)) ?? 0;
  t.true(off(ratioAt(printed, 1e20), 21.3) < 0.002);
  t.true(off(ratioAt(printed, 1e25), 32.0) < 0.002);
  // 18.3 is derived with more digits of the dense law than the paper prints.
  t.true(off(ratioAt(precise, 1e20), 18.3) < 0.02, `${ratioAt(precise, 1e20)}`);
  const rising = [1e18, 1e20, 1e22, 1e25, 1e27].map((flops) => ratioAt(printed, flops));
  t.deepEqual(
    rising,
    rising.toSorted((a, b) => a - b),
  );
  t.log(
    `printed digits: ${rising.map((each) => each.toFixed(1)).join(', ')} at 1e18, 1e20, 1e22, 1e25, 1e27`,
  );
});

test('savings: whole experts need more FLOPs than the best granularity, and reach it with those', (t) => {
  const best = bestAtFlops(precise, 1e20);
  const ratio = coarseOverFine(precise, best) ?? 0;
  t.true(ratio > 1.5 && ratio < 2.5, `${ratio}`);
  t.true(Math.abs(optimumAtFlops(precise, 1e20 * ratio, 1).loss - best.loss) < 1e-9);
  t.is(denseOverMoe({ ...dense, c: 5 }, best), null);
});

test('switch points: the FLOPs from which a finer granularity wins, within 0.1 of their logarithm', (t) => {
  for (const problem of [precise, printed])
    for (const [granularity, log] of [
      [16, 18.76],
      [32, 21.42],
      [64, 24.04],
    ] as const) {
      const flops = switchPoint(problem, granularity) ?? 0;
      t.true(Math.abs(Math.log10(flops) - log) < 0.1, `${granularity}: ${Math.log10(flops)}`);
      t.is(bestAtFlops(problem, flops * 1.02).granularity, granularity);
      t.is(bestAtFlops(problem, flops / 1.02).granularity, granularity / 2);
    }
});

test('router cost: the dearer a router, the coarser the best experts', (t) => {
  const found = [6, 10, 14, 20].map(
    (router) => bestAtFlops({ ...precise, cost: { matrix: 6, router } }, 1e20).granularity,
  );
  t.deepEqual(found, [32, 16, 16, 16]);
});

test('extrapolation: beyond the runs of the fit, and at another expansion', (t) => {
  const set = lawSet('granular-e64');
  t.deepEqual(extrapolations(set, { params: 3.6e9, tokens: 130e9, expansion: 64 }), []);
  t.regex(extrapolations(set, { params: 3.8e9, tokens: 1e9 }).join(), /^extrapolation: 3\.80e\+9 parameters/);
  t.regex(extrapolations(set, { params: 1e9, tokens: 131e9 }).join(), /131|1\.31e\+11 tokens/);
  t.regex(
    extrapolations(nearestLawSet(8), { params: 1, tokens: 1, expansion: 8 }).join(),
    /expansion 8.*e16/,
  );
  t.is(nearestLawSet(48).name, 'granular-e64');
});
