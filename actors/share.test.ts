import test from 'ava';
import { resolveTopology } from '@troupe/topology';
import { Layout, workerRank } from '@troupe/topology/layout';
import { shares } from './share.ts';

test('shares: every layer belongs to one stage, the loss to the last, and the first of tensor peers counts', (t) => {
  const { model, ...rest } = resolveTopology({
    model: { layers: 5, moe: { experts: 4, every: 2 } },
    train: { batch: 2, grains: 2, microbatches: 1 },
    parallel: { dp: 2, ep: 1 },
  });
  const layout = new Layout({ ...rest, model, parallel: { ...rest.parallel, pp: 3, tp: 2 } });
  const shareOf = shares(layout);
  const of = (pp: number, tp: number) => shareOf(layout.mesh.rankOf({ pp, dp: 1, tp }));
  const counted = [0, 1, 2].map((pp) => of(pp, 0));
  t.deepEqual(
    counted.map(({ hasLoss }) => hasLoss),
    [false, false, true],
  );
  t.deepEqual(
    counted.flatMap(({ layers }) => layers),
    counted.flatMap(({ layers }) => layers).map((_, index) => index),
  );
  t.true(counted.every(({ counts }) => counts));
  t.false(of(1, 1).counts);
  t.is(of(1, 1).peers, of(1, 0).peers);
  t.not(of(1, 0).peers, shareOf(layout.mesh.rankOf({ pp: 1, dp: 0, tp: 0 })).peers);
  const alone = new Layout({ ...rest, model, parallel: { ...rest.parallel, pp: 3 } });
  const aloneOf = shares(alone);
  t.is(aloneOf(workerRank(0)), aloneOf(workerRank(1)), 'one object a stage');
});
