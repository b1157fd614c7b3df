import test from 'ava';
import { addWide } from '@troupe/core';
import { addVote, normOf, noVotes } from './votes.ts';

const norm = (integer: bigint): BigInt64Array => {
  const words = new BigInt64Array(2);
  addWide(words, integer);
  return words;
};

test('votes: a step is finite while no leaf overflowed and the norm has a value', (t) => {
  const one = addVote(noVotes, norm(2n ** 125n), false);
  t.false(one.overflow);
  t.is(normOf(one), Math.sqrt(2 ** 45));
  // Once the norm was then negative, its root NaN, and every weight with it.
  const two = addVote(one, norm(2n ** 125n), false);
  t.true(two.overflow);
  t.is(normOf(two), Number.NaN);
  t.false(one.overflow, 'what a context held is not changed');
  t.is(normOf(noVotes), 0);
  const flagged = addVote(addVote(noVotes, norm(1n), true), norm(1n), false);
  t.true(flagged.overflow);
});
