import test from 'ava';
import fc from 'fast-check';
import { CYCLE, quotasOf, temperatureQuotas, Turns } from './quotas.ts';
import { root } from './root.ts';

test('root: is what Math.pow has, up to the last bits', (t) => {
  let worst = 0;
  for (let x = 1; x < 1e9; x = Math.ceil(x * 1.7))
    for (const degree of [1, 1.5, 2, 3, 5, 100])
      worst = Math.max(worst, Math.abs(root(x, degree) / x ** (1 / degree) - 1));
  t.true(worst < 1e-14, `${worst}`);
  t.is(root(7, 1), 7);
  t.is(root(1, 5), 1);
});

test('temperatureQuotas: the worked numbers', (t) => {
  t.deepEqual(temperatureQuotas([1e6, 1e4], 1), [4055, 41]);
  t.deepEqual(temperatureQuotas([1e6, 1e4], 2), [3724, 372]);
  t.deepEqual(temperatureQuotas([1e6, 1e5, 1e4], 5), [2019, 1274, 803]);
  t.deepEqual(quotasOf([1, 1, 1]), [1366, 1365, 1365], 'ties go to the lower part');
  t.deepEqual(quotasOf([1e9, 1, 1]), [4094, 1, 1], 'each has a place');
});

test('quotasOf: whole places that fill a cycle, within one of the share unless that is none', (t) => {
  const shares = fc.array(fc.double({ min: 1e-3, max: 1e3, noNaN: true }), { minLength: 1, maxLength: 40 });
  fc.assert(
    fc.property(shares, (list) => {
      const quotas = quotasOf(list);
      const total = list.reduce((sum, share) => sum + share, 0);
      t.is(
        quotas.reduce((sum, quota) => sum + quota, 0),
        CYCLE,
      );
      for (const [part, quota] of quotas.entries()) {
        const exact = ((list[part] ?? 0) / total) * CYCLE;
        t.true(Number.isInteger(quota) && quota >= 1);
        t.true(quota <= Math.max(1, Math.ceil(exact)));
      }
    }),
  );
});

test('Turns: a cycle gives each part its quota, counts its turns without a gap, and is another order each time', (t) => {
  const quotas = temperatureQuotas([1000, 100, 10], 2);
  const key = { seed: 5, purpose: 'test', sequence: 0 };
  const turns = new Turns(quotas, key);
  const orders: string[] = [];
  for (const cycle of [0, 1]) {
    const seen = quotas.map((): number[] => []);
    const parts: number[] = [];
    for (let place = cycle * CYCLE; place < (cycle + 1) * CYCLE; place++) {
      const { part, index } = turns.at(place);
      seen[part]?.push(index);
      parts.push(part);
    }
    for (const [part, quota] of quotas.entries())
      t.deepEqual(
        seen[part],
        Array.from({ length: quota }, (_, rank) => cycle * quota + rank),
      );
    orders.push(parts.join());
  }
  t.not(orders[0], orders[1]);
  // No turn needs an earlier one.
  for (const place of [5000, 3, 4096]) t.deepEqual(new Turns(quotas, key).at(place), turns.at(place));
  t.notDeepEqual(
    Array.from({ length: 50 }, (_, place) => new Turns(quotas, { ...key, seed: 6 }).at(place).part),
    Array.from({ length: 50 }, (_, place) => turns.at(place).part),
  );
});

test('Turns: a stretch of places has shares near the quotas', (t) => {
  const quotas = temperatureQuotas([1e6, 1e5, 1e4], 5);
  const turns = new Turns(quotas, { seed: 1, purpose: 'test', sequence: 0 });
  const counts = [0, 0, 0];
  const places = 1024;
  for (let place = 0; place < places; place++) {
    const { part } = turns.at(place);
    counts[part] = (counts[part] ?? 0) + 1;
  }
  for (const [part, quota] of quotas.entries()) {
    const p = quota / CYCLE;
    // Six standard deviations of drawing with replacement, which is wider.
    t.true(Math.abs((counts[part] ?? 0) - places * p) < 6 * Math.sqrt(places * p * (1 - p)), counts.join());
  }
});
