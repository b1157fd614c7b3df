import test from 'ava';
import * as fc from 'fast-check';
import { prng } from '@troupe/core';
import { GenerationError } from './errors.ts';
import { largest } from './largest.ts';
import { checkSampling, sampleToken } from './sampling.ts';

const draw = (logits: number[], options: Parameters<typeof checkSampling>[0], position: number): number =>
  sampleToken(
    Float64Array.from(logits),
    checkSampling(options),
    prng({ seed: 1, purpose: 'sample', position }),
  );

test('sampling: temperature 0 takes the largest logit, ties the lower id', (t) => {
  t.is(draw([1, 3, 3, 2], { temperature: 0 }, 0), 1);
});

test('sampling: frequencies follow the softmax', (t) => {
  const counts = [0, 0, 0];
  for (let i = 0; i < 6000; i++)
    counts[draw([Math.log(6), Math.log(3), 0], { temperature: 1, topP: 1 }, i)]! += 1;
  const expected = [0.6, 0.3, 0.1];
  t.log(counts.join(' '));
  t.true(counts.every((count, id) => Math.abs(count / 6000 - expected[id]!) < 0.02));
});

test('sampling: top-k and top-p keep only the most likely tokens', (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: -5, max: 5, noNaN: true }), { minLength: 3, maxLength: 30 }),
      fc.nat(1000),
      (logits, position) => {
        const order = [...logits.keys()].sort((a, b) => logits[b]! - logits[a]! || a - b);
        const byK = draw(logits, { topK: 2, topP: 1 }, position);
        const byP = draw(logits, { topK: 0, topP: 1e-9 }, position);
        return order.indexOf(byK) < 2 && byP === order[0];
      },
    ),
  );
  t.pass();
});

test('sampling: settings outside their range are refused', (t) => {
  for (const wrong of [
    { temperature: -1 },
    { topK: 1.5 },
    { topP: 0 },
    { topP: 1.1 },
    { temperature: Number.NaN },
  ]) {
    t.throws(() => checkSampling(wrong), { instanceOf: GenerationError });
  }
});

test('sampling: the largest of many are those in front of all, sorted, with ties', (t) => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: -3, max: 3 }), { maxLength: 40 }), fc.nat(50), (logits, count) => {
      const order = [...logits.keys()].sort((a, b) => logits[b]! - logits[a]! || a - b);
      t.deepEqual(largest(Float32Array.from(logits), count), order.slice(0, count));
    }),
  );
});
