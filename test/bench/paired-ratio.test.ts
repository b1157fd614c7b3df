import test from 'ava';
import { pairedRatio } from './paired-ratio.ts';

const range = (length: number): readonly number[] => Array.from({ length }, (_, index) => index + 1);

test('pairedRatio: leaves out as many ratios at each end as 95 % allow', (t) => {
  // 2 · 10/512 of nine throws are at most one head; , and so on.
  t.deepEqual(pairedRatio(range(9)), { median: 5, low: 2, high: 8, confidence: 1 - 20 / 512 });
  const twenty = pairedRatio([...range(20)].reverse());
  t.deepEqual([twenty.median, twenty.low, twenty.high], [10.5, 6, 15]);
  t.true(twenty.confidence >= 0.95 && twenty.confidence < 0.97);
});

test('pairedRatio: few pairs say how little they say', (t) => {
  t.deepEqual(pairedRatio([3, 1, 2]), { median: 2, low: 1, high: 3, confidence: 0.75 });
  t.is(pairedRatio([2]).confidence, 0);
});
