import test from 'ava';
import * as fc from 'fast-check';
import { Dealing } from './dealing.ts';
import { dataRank } from './rank.ts';

test('Dealing: the example of two replicas and two microbatches', (t) => {
  const dealing = new Dealing({ batch: 16, grains: 8, microbatches: 2 }, 2);
  const grains = [0, 1].map((rank) =>
    [0, 1].map((microbatch) => dealing.grainsOf(dataRank(rank), microbatch)),
  );
  t.deepEqual(grains, [
    [
      { first: 0, count: 2 },
      { first: 4, count: 2 },
    ],
    [
      { first: 2, count: 2 },
      { first: 6, count: 2 },
    ],
  ]);
  t.deepEqual(dealing.sequencesOf(dataRank(1), 1), { first: 12, count: 4 });
  t.is(dealing.evaluationPasses(17), 3);
  t.throws(() => dealing.grainsOf(dataRank(2), 0), { code: 'TROUPE_INVARIANT' });
  t.throws(() => new Dealing({ batch: 16, grains: 8, microbatches: 3 }, 2), { code: 'TROUPE_INVARIANT' });
});

const small = fc.integer({ min: 1, max: 6 });

test('DEA-1: grains are dealt out without rest, and a global microbatch is the same run of grains for every dp', (t) => {
  fc.assert(
    fc.property(small, small, small, small, (dp, microbatches, each, sequences) => {
      const grains = dp * microbatches * each;
      const dealing = new Dealing({ batch: grains * sequences, grains, microbatches }, dp);
      const perMicrobatch = grains / microbatches;
      for (let microbatch = 0; microbatch < microbatches; microbatch++) {
        let next = microbatch * perMicrobatch;
        for (let rank = 0; rank < dp; rank++) {
          const { first, count } = dealing.grainsOf(dataRank(rank), microbatch);
          t.is(first, next, 'data ranks in order');
          next += count;
          t.deepEqual(dealing.sequencesOf(dataRank(rank), microbatch), {
            first: first * sequences,
            count: count * sequences,
          });
        }
        t.is(next, (microbatch + 1) * perMicrobatch);
      }
    }),
  );
});
