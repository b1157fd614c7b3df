import test from 'ava';
import { advance, noCopy, receivePart } from './ward-copy.ts';

const part = (version: number, attempt: number, elements: number) => ({ version, attempt, elements });

test('receivePart: BUD-3, a copy counts once all parts of one attempt are here', (t) => {
  const half = receivePart(noCopy(10), part(3, 1, 6));
  t.is(half.version, -1);
  t.is(receivePart(half, part(3, 1, 4)).version, 3);
  t.is(receivePart(half, part(3, 2, 4)).version, -1, 'the rest of it belongs to another attempt');
  t.is(receivePart(receivePart(half, part(3, 2, 4)), part(3, 2, 6)).version, 3);
  t.is(receivePart(noCopy(0), part(3, 1, 0)).version, 3, 'an empty slice is here at once');
});

test('receivePart: parts of the same version leave a copy whole, those of another one do not', (t) => {
  const whole = receivePart(noCopy(10), part(3, 1, 10));
  t.is(receivePart(whole, part(3, 2, 6)).version, 3);
  const mixed = receivePart(whole, part(1, 2, 6));
  t.is(mixed.version, -1);
  t.is(receivePart(mixed, part(1, 2, 4)).version, 1);
});

test('advance: half a copy stays none', (t) => {
  t.is(advance(receivePart(noCopy(10), part(3, 1, 10))).version, 4);
  t.is(advance(receivePart(noCopy(10), part(3, 1, 9))).version, -1);
});
