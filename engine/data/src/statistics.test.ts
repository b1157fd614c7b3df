import test from 'ava';
import * as fc from 'fast-check';
import { bigramCrossEntropy, unigramCrossEntropy, unigramEntropy } from './statistics.ts';

const ids = (...values: number[]): Int32Array => Int32Array.from(values);

test('unigramEntropy: of a fair coin is ln 2, of one token 0', (t) => {
  t.is(unigramEntropy(ids(0, 1, 1, 0)), Math.log(2));
  t.is(unigramEntropy(ids(3, 3, 3)), 0);
  t.is(unigramEntropy(ids()), 0);
});

test('unigramCrossEntropy: add-one by hand', (t) => {
  // counts 2, 1, 0 of 3 tokens, vocabulary 3: (2+1)/6, (1+1)/6, (0+1)/6
  const expected = -(Math.log(3 / 6) + Math.log(1 / 6)) / 2;
  t.true(Math.abs(unigramCrossEntropy(ids(0, 0, 1), ids(0, 2), 3) - expected) < 1e-12);
});

test('bigramCrossEntropy: Witten–Bell by hand', (t) => {
  // train 0 1 0 0: after 0 came {1, 0}: 2 tokens, 2 types; unigrams (3+1)/6, (1+1)/6 of vocabulary 2
  const p01 = (1 + 2 * (2 / 6)) / (2 + 2);
  const p10 = (1 + 1 * (4 / 6)) / (1 + 1);
  const expected = -(Math.log(p01) + Math.log(p10)) / 2;
  t.true(Math.abs(bigramCrossEntropy(ids(0, 1, 0, 0), ids(0, 1, 0), 2) - expected) < 1e-12);
});

test('bigramCrossEntropy: the probabilities after any token add up to one', (t) => {
  const vocab = 5;
  fc.assert(
    fc.property(fc.array(fc.nat(vocab - 1), { maxLength: 30 }), fc.nat(vocab - 1), (train, a) => {
      let total = 0;
      for (let b = 0; b < vocab; b++) total += Math.exp(-bigramCrossEntropy(ids(...train), ids(a, b), vocab));
      return Math.abs(total - 1) < 1e-9;
    }),
  );
  t.pass();
});

test('statistics: an id outside the vocabulary is a bug, not a count', (t) => {
  t.throws(() => bigramCrossEntropy(ids(0, 7), ids(0, 1), 4), { code: 'TROUPE_INVARIANT' });
});

test('bigramCrossEntropy: how many pairs are in memory at once changes no bit', (t) => {
  const tokens = fc.array(fc.nat(6), { minLength: 2, maxLength: 60 });
  fc.assert(
    fc.property(tokens, tokens, fc.integer({ min: 1, max: 20 }), (train, heldOut, pairsAtOnce) =>
      Object.is(
        bigramCrossEntropy(ids(...train), ids(...heldOut), 7, pairsAtOnce),
        bigramCrossEntropy(Uint16Array.from(train), Uint16Array.from(heldOut), 7),
      ),
    ),
  );
  t.pass();
});
