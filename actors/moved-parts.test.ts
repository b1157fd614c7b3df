import test from 'ava';
import fc from 'fast-check';
import type { ElementRange } from '@troupe/spec';
import { packedParts, unpackedParts, type MovedPart } from './moved-parts.ts';
import { MESSAGE_ELEMENTS } from './range.ts';

/** As many elements in the first array as there are weights, and twice as many in the second one. */
const state = {
  rangeIn: (array: 0 | 1, { from, to }: ElementRange) => ({ from: (array + 1) * from, to: (array + 1) * to }),
};

const partOf = (from: number, length: number): MovedPart => ({
  range: { from, to: from + length },
  state: {
    weights: new Float32Array(length).fill(from + 1),
    first: new Float32Array(length).fill(from + 2),
    second: new Float32Array(2 * length).fill(from + 3),
  },
});

test('packedParts: what was packed is what comes out, in few messages that are not too large', (t) => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(), fc.integer({ min: 1, max: 9 })), { maxLength: 30 }), (sizes) => {
      const parts = sizes.map(([from, length]) => partOf(from, length));
      const messages = [...packedParts(parts)];
      t.is(messages.length, parts.length === 0 ? 0 : 1);
      t.deepEqual(
        messages.flatMap((each) => unpackedParts(each, state)),
        parts,
      );
    }),
  );
  const large = [partOf(0, MESSAGE_ELEMENTS), partOf(7, 3), partOf(20, MESSAGE_ELEMENTS - 2), partOf(1, 2)];
  const lengths = [...packedParts(large)].map(({ weights }) => weights.length);
  t.deepEqual(lengths, [MESSAGE_ELEMENTS, 3, MESSAGE_ELEMENTS]);
});

test('packedParts: a message has memory of its own, in the format of its parts', (t) => {
  const wide = { weights: Float64Array.of(1), first: Float64Array.of(2), second: Float64Array.of(3, 4) };
  const [message] = packedParts([{ range: { from: 2 ** 40, to: 2 ** 40 + 1 }, state: wide }]);
  t.deepEqual(message?.weights, Float64Array.of(1));
  t.not(message?.weights, wide.weights);
  t.deepEqual(message && unpackedParts(message, state)[0]?.range, { from: 2 ** 40, to: 2 ** 40 + 1 });
});
