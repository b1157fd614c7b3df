import test from 'ava';
import { LineTally, type Bound } from './lines.ts';
import type { CallTuple } from './record.ts';

const windows = [
  { start: 0, end: 10 },
  { start: 20, end: 30 },
];
const rates = { flops: 1e12, bytes: 1e10 };

function linesOf(...calls: readonly CallTuple[]) {
  const tally = new LineTally(windows);
  for (const call of calls) tally.add(call);
  return tally.lines(2, 10, rates);
}

test('LineTally: adds up by operation and shape, a step; the most expensive first', (t) => {
  const lines = linesOf(
    ['a', 'x', 10, 20, 0, 1],
    ['b', 'x', 0, 0, 1, 5],
    ['a', 'x', 10, 20, 20, 21],
    ['a', 'y', 0, 0, 2, 3],
  );
  t.deepEqual(
    lines.map(({ op, shape, calls, ms, share, flops, bytes }) => [op, shape, calls, ms, share, flops, bytes]),
    [
      ['b', 'x', 0.5, 2, 0.2, 0, 0],
      ['a', 'x', 1, 1, 0.1, 10, 20],
      ['a', 'y', 0.5, 0.5, 0.05, 0, 0],
    ],
  );
});

test('LineTally: calls between steps do not count, one across the end of a step is cut', (t) => {
  const [line, ...others] = linesOf(
    ['a', 'x', 1, 1, 8, 12],
    ['a', 'x', 1, 1, 12, 14],
    ['a', 'x', 1, 1, 30, 31],
  );
  t.deepEqual(others, []);
  t.is(line?.calls, 0.5);
  t.is(line?.ms, 1);
});

/** One call of a millisecond, with the busy times of two threads. */
const call = (flops: number, bytes: number, ms = 1, busy: readonly number[] = []): CallTuple => [
  'a',
  'x',
  flops,
  bytes,
  0,
  ms,
  ...busy.flatMap((each) => [0, ms, each]),
];

const bounds: readonly (readonly [name: string, call: CallTuple, bound: Bound, ofRate: number])[] = [
  ['half of the peak', call(5e8, 1), 'arithmetic', 0.5],
  ['half of the bandwidth', call(1, 5e6), 'memory', 0.5],
  ['more than the bandwidth', call(1, 2e7), 'cache', 2],
  ['far from both, in short calls', call(1e6, 1, 0.01), 'calls', 0.1],
  ['far from both, one thread of two', call(1e8, 1, 1, [0.9, 0.1]), 'threads', 0.1],
  ['far from both, threads at work', call(1e8, 1, 1, [0.9, 0.9]), 'instructions', 0.1],
  ['far from both, threads unknown', call(1e8, 1), 'instructions', 0.1],
];

for (const [name, each, bound, ofRate] of bounds) {
  test(`LineTally: ${name} is bound by ${bound}`, (t) => {
    const [line] = linesOf(each);
    t.is(line?.bound, bound);
    t.true(Math.abs((line?.ofRate ?? 0) - ofRate) < 1e-9);
  });
}

test('LineTally: without measured rates nothing is claimed', (t) => {
  const tally = new LineTally(windows);
  tally.add(call(5e8, 1));
  const [line] = tally.lines(1, 10, { flops: null, bytes: null });
  t.is(line?.ofRate, null);
  t.is(line?.bound, null);
});
