import test from 'ava';
import { resolveTopology } from '../resolve.ts';
import { Layout } from './layout.ts';
import { workerRank } from './rank.ts';

/** How far the buddy of the first worker is, under ZeRO 1; 0: it has none. */
const shiftOf = (hosts: readonly (readonly [string, number])[], buddies = true): number => {
  const dp = hosts.reduce((sum, [, count]) => sum + count, 0);
  const layout = new Layout(
    resolveTopology({
      model: { layers: 1 },
      train: { batch: dp, grains: dp, microbatches: 1 },
      parallel: { dp, ep: 1 },
      machines: hosts.map(([host, count]) => ({
        host,
        devices: Array.from({ length: count }, (_, index) => `cpu:${index}`),
      })),
      wire: { security: 'none' },
      recovery: { buddies },
    }),
  );
  const first = workerRank(0);
  return layout.buddyOf(layout.groupOf(first, 'dense'), first) ?? 0;
};

test('buddyOf: another worker; on another machine where there is one', (t) => {
  t.is(shiftOf([['localhost', 1]]), 0, 'one worker has nobody');
  t.is(shiftOf([['localhost', 4]], false), 0);
  t.is(shiftOf([['localhost', 4]]), 1);
  t.is(
    shiftOf([
      ['a', 2],
      ['b', 2],
    ]),
    2,
  );
  t.is(
    shiftOf([
      ['a', 4],
      ['b', 4],
      ['c', 4],
    ]),
    4,
  );
});

test('buddyOf: of uneven machines as many as can be', (t) => {
  t.is(
    shiftOf([
      ['a', 1],
      ['b', 1],
    ]),
    1,
  );
  t.is(
    shiftOf([
      ['a', 3],
      ['b', 1],
    ]),
    1,
    'no shift moves more than two of four',
  );
});
