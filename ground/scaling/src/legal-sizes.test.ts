import test from 'ava';
import { bestAtFlops } from './granular-optimum.ts';
import { granularLawOf, lawSet } from './law-sets.ts';
import { legalSizes } from './legal-sizes.ts';
import { paperCost } from './shape.ts';

const problem = { law: granularLawOf(lawSet('granular-e64')), expansion: 64 };
const off = (found: number, expected: number): number => Math.abs(found / expected - 1);

test('legal sizes: within 5 % of any budget, and whole', (t) => {
  for (const flops of [1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e22, 1e25]) {
    const best = bestAtFlops(problem, flops);
    const sizes = legalSizes(
      { ...best, expansion: 64 },
      { batchTokens: 65_536, seqLen: 256, cost: paperCost },
    );
    const { dModel, blocks, heads, granularity, batch, steps } = sizes;
    t.log(`${flops}: width ${dModel}, ${blocks} blocks, ${heads} heads, G ${granularity}, ${steps} steps`);
    for (const name of ['paramsActive', 'params', 'tokens', 'flops'] as const)
      t.true(off(sizes[name], best[name]) < 0.05, `${flops}: ${name} ${sizes[name]} for ${best[name]}`);
    t.true([dModel, blocks, heads, batch, steps].every((each) => Number.isInteger(each) && each >= 1));
    t.is(dModel % 8, 0);
    t.is((dModel / heads) % 2, 0);
    t.is((4 * dModel) % granularity, 0);
    t.true(dModel / blocks > 25 && dModel / blocks < 160, `aspect ${dModel / blocks}`);
  }
});

test('legal sizes: a model too small for whole blocks is the nearest there is, and says by how much', (t) => {
  const asked = { paramsActive: 500, tokens: 1e6, granularity: 4, expansion: 8, flops: 1e10 };
  const sizes = legalSizes(asked, { batchTokens: 2048, seqLen: 256, cost: paperCost });
  t.is(sizes.dModel, 8);
  t.is(sizes.blocks, 1);
  t.is(sizes.paramsActive, 12 * 8 ** 2);
  t.is(sizes.batch, 8);
  // Experts of a 1024th of an FFN need a width of 256 at least.
  const fine = legalSizes(
    { ...asked, granularity: 1024 },
    { batchTokens: 2048, seqLen: 256, cost: paperCost },
  );
  t.is(fine.dModel, 256);
});
