import test from 'ava';
import fc from 'fast-check';
import { InvariantError } from './errors.ts';
import { hashName, philox4x32, philoxKey, prng, type DrawKey } from './prng.ts';

test('philox4x32: agrees with the known answers of Random123', (t) => {
  const hex = (words: readonly number[]): string =>
    words.map((word) => word.toString(16).padStart(8, '0')).join(' ');
  const full = 0xffffffff;
  t.is(hex(philox4x32([0, 0, 0, 0], [0, 0])), '6627e8d5 e169c58d bc57ac4c 9b00dbd8');
  t.is(hex(philox4x32([full, full, full, full], [full, full])), '408f276d 41c83b0e a20bc7c6 6d5451fd');
  t.is(
    hex(philox4x32([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0])),
    'd16cfe09 94fdcceb 5001e420 24126ea1',
  );
});

test('hashName: FNV-1a over both bytes of every unit', (t) => {
  t.is(hashName(''), 0x811c9dc5);
  // FNV-1a of the bytes 61 00, by hand: each byte xored in, then times 0x01000193.
  const step = (hash: number, byte: number): number => Math.imul(hash ^ byte, 0x01000193) >>> 0;
  t.is(hashName('a'), step(step(0x811c9dc5, 0x61), 0));
  t.not(hashName('ab'), hashName('ba'));
  t.not(hashName('\u0161'), hashName('a'), 'the high byte counts');
});

test('prng: a draw is a function of its key and number, whatever was drawn before', (t) => {
  const index = fc.nat(1000);
  fc.assert(
    fc.property(fc.array(index, { minLength: 1, maxLength: 40 }), fc.nat(), (indices, seed) => {
      const used = prng({ seed, purpose: 'test', step: 3 });
      for (const each of indices) t.is(used.bits(each), prng({ seed, purpose: 'test', step: 3 }).bits(each));
    }),
  );
});

test('prng: every part of the key makes another stream', (t) => {
  const base: DrawKey = { seed: 1, purpose: 'a', step: 2, layer: 3, sequence: 4, position: 5 };
  const keys: DrawKey[] = [base];
  for (const change of [
    { seed: 2 },
    { seed: 1 + 2 ** 32 },
    { purpose: 'b' },
    { step: 3 },
    { layer: 4 },
    { sequence: 5 },
    { position: 6 },
    { layer: 5, position: 3 },
  ])
    keys.push({ ...base, ...change });
  const streams = keys.map((key) => Array.from({ length: 8 }, (_, i) => prng(key).bits(i)).join());
  t.is(new Set(streams).size, keys.length);
  const { step: _step, ...withoutStep } = base;
  t.is(prng({ ...base, step: 0 }).bits(9), prng(withoutStep).bits(9), 'a part that is left out is 0');
});

test('prng: uniform lies in [0, 1), integer in [0, bound), both evenly', (t) => {
  const draws = prng({ seed: 7, purpose: 'even' });
  const numDraws = 20_000;
  const counts = Array.from({ length: 10 }, () => 0);
  let sum = 0;
  for (let i = 0; i < numDraws; i++) {
    const value = draws.uniform(i);
    if (value < 0 || value >= 1) t.fail(`${value}`);
    sum += value;
    const integer = draws.integer(i, 10);
    t.is(Number.isInteger(integer) && integer >= 0 && integer < 10, true);
    counts[integer] = (counts[integer] ?? 0) + 1;
  }
  // Six standard deviations of a fair source.
  t.true(Math.abs(sum / numDraws - 0.5) < 6 / Math.sqrt(12 * numDraws));
  for (const count of counts) t.true(Math.abs(count - numDraws / 10) < 6 * Math.sqrt(numDraws * 0.09));
  t.is(draws.integer(3, 1), 0);
  t.is(draws.integer(3, 2 ** 32), draws.bits(3));
});

test('philoxKey: a seed is a non-negative safe integer', (t) => {
  for (const seed of [-1, 0.5, 2 ** 53, Number.NaN])
    t.throws(() => philoxKey(seed, 'x'), { instanceOf: InvariantError });
  t.notThrows(() => philoxKey(Number.MAX_SAFE_INTEGER, 'x'));
});
