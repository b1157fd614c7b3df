import test from 'ava';
import { addWide, WIDE_OVERFLOW } from '@troupe/core';
import { lossValue } from '@troupe/model';
import { StepLedger } from './ledger.ts';

/** Wide sums of these integers. */
const sums = (...integers: readonly bigint[]): BigInt64Array => {
  const words = new BigInt64Array(2 * integers.length);
  integers.forEach((integer, at) => addWide(words, integer, at));
  return words;
};

const noLayers = [new BigInt64Array(0), new Int32Array(0), new BigInt64Array(0)] as const;

test('ledger: losses of replicas add up beyond 64 bits', (t) => {
  const ledger = new StepLedger();
  for (let dp = 0; dp < 3; dp++) {
    const layers = sums(2n ** 63n, 2n ** 36n);
    ledger.addLosses(sums(2n ** 63n), layers, Int32Array.of(1, dp), sums(2n ** 36n, 2n ** 35n));
  }
  t.is(lossValue(ledger.lossSum), 3 * 2 ** 27);
  t.deepEqual([lossValue(ledger.lossSums), lossValue(ledger.lossSums, 1)], [3 * 2 ** 27, 3]);
  t.deepEqual(ledger.counts, Int32Array.of(3, 3));
  t.deepEqual([lossValue(ledger.probSums), lossValue(ledger.probSums, 1)], [3, 1.5]);
});

test('ledger: the loss of one replica that is none makes the sum none', (t) => {
  const ledger = new StepLedger();
  for (const integer of [5n, WIDE_OVERFLOW, WIDE_OVERFLOW, 7n]) ledger.addLosses(sums(integer), ...noLayers);
  t.is(lossValue(ledger.lossSum), Number.NaN);
});
