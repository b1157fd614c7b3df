import test from 'ava';
import { addWide, NotBuiltError, WIDE_OVERFLOW } from '@troupe/core';
import { LOSS_QUANTUM_LOG2 } from '@troupe/kernel-set';
import type { BalanceConfig } from '@troupe/spec';
import { balanceCoefficients, balanceLosses } from './balance.ts';
import { maxExpertLoad } from './expert-load.ts';
import type { LayerStatistics } from './statistics.ts';
import { tinyConfig } from './testing/tiny-model.ts';

/** Wide sums of these values. */
const sums = (values: readonly number[]): BigInt64Array =>
  BigInt64Array.from(values.flatMap((value) => [BigInt(Math.round(value * 2 ** -LOSS_QUANTUM_LOG2)), 0n]));

function statistics(
  layer: number,
  counts: number[],
  probSums: number[],
  losses: [number, number],
): LayerStatistics {
  return {
    layer,
    lossSums: sums(losses),
    counts_E: Int32Array.from(counts),
    probSums_E: sums(probSums),
  };
}

const withBalance = (balance: Partial<BalanceConfig>) =>
  tinyConfig({
    moe: {
      balance: {
        auxLoss: 0.5,
        zLoss: 0.25,
        scope: 'sequence',
        layers: 'each',
        bias: 0,
        domain: 1,
        ...balance,
      },
    },
  });

const global = { sequences: 4, tokens: 8, domains: 0 };
const even = statistics(0, [4, 4, 4, 4], [2, 2, 2, 2], [4, 16]);
const collapsed = statistics(1, [8, 8, 0, 0], [4, 4, 0, 0], [8, 16]);

test('balance: 1 a layer at perfect balance, E/K at collapse, in every scope', (t) => {
  const sequence = balanceLosses(withBalance({}), [even, collapsed], global);
  t.deepEqual(sequence, { auxLoss: 0.5 * (1 + 2), zLoss: (0.25 * 32) / 8 });
  const each = balanceLosses(withBalance({ scope: 'global' }), [even, collapsed], global);
  t.is(each.auxLoss, 0.5 * (1 + 2));
  const pooled = balanceLosses(withBalance({ scope: 'global', layers: 'pooled' }), [even, collapsed], global);
  // f = p = (12, 12, 4, 4)/32, 4·Σ f·p = 1.25
  t.is(pooled.auxLoss, 0.5 * 1.25);
});

test('balance: coefficients divide by the global batch', (t) => {
  const sequence = balanceCoefficients(withBalance({}), global);
  t.deepEqual([sequence.auxScale, sequence.zScale, sequence.fractions(0)], [0.5 / 4, 0.25 / 8, null]);
  const each = balanceCoefficients(withBalance({ scope: 'global' }), global, [even, collapsed]);
  t.is(each.auxScale, 0.5 / 8);
  t.deepEqual([...each.fractions(1)!], [0.5, 0.5, 0, 0]);
  const pooled = balanceCoefficients(withBalance({ scope: 'global', layers: 'pooled' }), global, [
    even,
    collapsed,
  ]);
  t.is(pooled.auxScale, 0.5 / 16);
  t.deepEqual([...pooled.fractions(0)!], [0.375, 0.375, 0.125, 0.125]);
});

test('balance: an empty batch loses nothing', (t) => {
  const nothing = statistics(0, [0, 0, 0, 0], [0, 0, 0, 0], [0, 0]);
  for (const scope of ['sequence', 'global'] as const) {
    const config = withBalance({ scope });
    t.deepEqual(balanceLosses(config, [nothing], { sequences: 0, tokens: 0, domains: 0 }), {
      auxLoss: 0,
      zLoss: 0,
    });
    t.is(balanceCoefficients(config, { sequences: 0, tokens: 0, domains: 0 }, [nothing]).auxScale, 0);
  }
});

test('balance: a sum that is none makes its loss NaN, unless it is switched off', (t) => {
  const none = { ...even, lossSums: sums([4, 16]), probSums_E: sums([2, 2, 2, 2]) };
  for (const words of [none.lossSums, none.probSums_E])
    for (let at = 0; 2 * at < words.length; at++) addWide(words, WIDE_OVERFLOW, at);
  for (const scope of ['sequence', 'global'] as const) {
    const losses = balanceLosses(withBalance({ scope }), [none, collapsed], global);
    t.deepEqual(losses, { auxLoss: Number.NaN, zLoss: Number.NaN });
    const off = balanceLosses(withBalance({ scope, auxLoss: 0, zLoss: 0 }), [none], global);
    t.deepEqual(off, { auxLoss: 0, zLoss: 0 });
  }
});

test('balance: a scope that is not built says so', (t) => {
  t.throws(() => balanceLosses(withBalance({ layers: 'pooled' }), [even], global), {
    instanceOf: NotBuiltError,
  });
});

test('expert load: max over mean', (t) => {
  t.deepEqual(
    [even, collapsed].map(({ counts_E }) => maxExpertLoad(counts_E)),
    [1, 2],
  );
  t.is(maxExpertLoad(new Int32Array(4)), 0);
});
