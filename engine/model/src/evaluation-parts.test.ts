import test from 'ava';
import * as fc from 'fast-check';
import { evaluationParts, joinedParts } from './evaluation-parts.ts';

/** Sequence by sequence: what it is. */
const listed = (first: number, count: number, sequences: number, domain: number): readonly string[] =>
  evaluationParts(first, count, { sequences, domain }).flatMap((part) =>
    Array.from({ length: part.count }, (_, i) => {
      const at = part.first + i;
      return part.isRepeated ? `again ${at}` : at < sequences ? `${at}` : 'padding';
    }),
  );

test('evaluation: 10 sequences in domains of 6 are made up to 12 by the first two, behind which is padding', (t) => {
  t.deepEqual(listed(8, 8, 10, 6), [
    '8',
    '9',
    'again 0',
    'again 1',
    'padding',
    'padding',
    'padding',
    'padding',
  ]);
  t.deepEqual(listed(8, 4, 10, 1), ['8', '9', 'padding', 'padding']);
  t.deepEqual(listed(0, 8, 3, 8), ['0', '1', '2', 'again 0', 'again 1', 'again 2', 'again 0', 'again 1']);
  t.deepEqual(listed(0, 2, 0, 4), ['padding', 'padding']);
});

test('evaluation: however passes cut the sequences, each is the same', (t) => {
  const size = fc.integer({ min: 1, max: 12 });
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 20 }), size, size, (sequences, domain, each) => {
      const whole = listed(0, 48, sequences, domain);
      const cut = Array.from({ length: 48 / each }, (_, pass) =>
        listed(pass * each, each, sequences, domain),
      );
      t.deepEqual(cut.flat(), whole.slice(0, Math.floor(48 / each) * each));
      t.is(whole.filter((what) => !what.startsWith('again') && what !== 'padding').length, sequences);
    }),
  );
});

test('evaluation: repeated sequences are routed and not counted; one batch without any is itself', (t) => {
  const batch = (ids: readonly number[]) => ({
    ids_T: Int32Array.from(ids),
    targets_T: Int32Array.from(ids, (id) => id + 1),
    firstSeen_T: new Int32Array(ids.length),
    valid_T: new Uint8Array(ids.length).fill(1),
  });
  const parts = [
    { first: 4, count: 1, isRepeated: false },
    { first: 0, count: 1, isRepeated: true },
  ];
  t.deepEqual(joinedParts(parts, [batch([7, 8]), batch([1, 2])]), {
    ...batch([7, 8, 1, 2]),
    targets_T: Int32Array.from([8, 9, -1, -1]),
  });
  const withSource = (ids: readonly number[]) => ({
    ...batch(ids),
    source: {
      ids_T: Int32Array.from(ids, (id) => id * 2),
      firstSeen_T: new Int32Array(ids.length),
      endSeen_T: new Int32Array(ids.length).fill(ids.length),
      valid_T: new Uint8Array(ids.length).fill(1),
      crossFirst_T: new Int32Array(ids.length),
      crossEnd_T: new Int32Array(ids.length).fill(ids[0] ?? 0),
    },
  });
  t.deepEqual(joinedParts(parts, [withSource([7]), withSource([1])]).source, {
    ids_T: Int32Array.from([14, 2]),
    firstSeen_T: Int32Array.from([0, 0]),
    endSeen_T: Int32Array.from([1, 1]),
    valid_T: Uint8Array.from([1, 1]),
    crossFirst_T: Int32Array.from([0, 0]),
    crossEnd_T: Int32Array.from([7, 1]),
  });
  const one = batch([3]);
  t.is(joinedParts(parts.slice(0, 1), [one]), one);
});
