import test from 'ava';
import { utilisation } from './losses.ts';

test('utilisation: a share of the peak, and nothing when there is no peak or more than it', (t) => {
  t.is(utilisation(50, 200), 0.25);
  t.is(utilisation(200, 200), 1);
  t.is(utilisation(50, null), null);
  // 109.1 % was printed once.
  t.is(utilisation(1091, 1000), null);
  t.is(utilisation(Infinity, 1000), null);
  t.is(utilisation(Number.NaN, 1000), null);
});
