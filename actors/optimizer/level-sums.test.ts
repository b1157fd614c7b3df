import test from 'ava';
import { address } from '@troupe/core';
import { openReferenceDevice } from '@troupe/kernels';
import { flatLayout } from '@troupe/spec';
import { LevelSums } from './level-sums.ts';

const segments = [
  { index: 0, from: 0, to: 100, flat: flatLayout([]) },
  { index: 1, from: 100, to: 300, flat: flatLayout([]) },
];
const part = (from: number, to: number, microbatch = 0) => ({ from, to, level: 0, step: 1, microbatch });
const completes = { from: 50, to: 200, members: 2 };

test('LevelSums: GRD-4, one sum for each segment and microbatch, of what this shard completes', (t) => {
  const levels = new LevelSums(openReferenceDevice(), segments);
  const first = levels.of(part(50, 100), completes);
  t.like(first, { from: 50, to: 100, expected: 100, added: 0 });
  t.is(levels.of(part(60, 70), completes), first);
  t.not(levels.of(part(50, 100, 1), completes), first);
  t.like(levels.of(part(100, 150), completes), { from: 100, to: 200, expected: 200 });
  t.throws(() => levels.of(part(90, 110), completes), { message: /of one segment/ });
  t.throws(() => levels.of(part(20, 60), completes), { message: /EXP-2/ });
});

test('LevelSums: memory of a sum that has gone on is used again, for one of its size', (t) => {
  const levels = new LevelSums(openReferenceDevice(), segments);
  const first = levels.of(part(50, 100), completes);
  first.arrivals.push({ from: address('courier/dense/dp0'), part: part(50, 100) });
  levels.free(first);
  const again = levels.of(part(50, 100, 1), completes);
  t.is(again.sum, first.sum);
  t.is(again.arrivals.length, 0);
  t.not(levels.of(part(50, 100, 2), completes).sum, first.sum);
  levels.abandon();
  t.is(levels.of(part(50, 100, 3), completes).added, 0);
});
