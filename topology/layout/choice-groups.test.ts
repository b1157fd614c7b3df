import test from 'ava';
import * as fc from 'fast-check';
import { ChoiceGroups } from './choice-groups.ts';
import { dataRank } from './rank.ts';

const shape = fc.record({
  dp: fc.integer({ min: 1, max: 12 }),
  microbatchSequences: fc.integer({ min: 1, max: 12 }),
  seqLen: fc.integer({ min: 1, max: 9 }),
  divisor: fc.nat(),
});

test('choice groups: CHO-1, CHO-2, every part is in one group, and every position of a group has one who decides it', (t) => {
  fc.assert(
    fc.property(shape, ({ dp, microbatchSequences, seqLen, divisor }) => {
      const all = dp * microbatchSequences;
      const sizes = Array.from({ length: all }, (_, index) => index + 1).filter((n) => all % n === 0);
      const n = sizes[divisor % sizes.length]!;
      const groups = new ChoiceGroups(n, { microbatchSequences, seqLen });
      const partsIn = new Int32Array(all / n);
      const deciders = new Int32Array((all / n) * seqLen);
      for (let rank = 0; rank < dp; rank++) {
        let next = 0;
        for (const { group, parts, decides, peers } of groups.sharesOf(dataRank(rank))) {
          t.is(parts.from, next);
          next = parts.to;
          partsIn[group]! += parts.to - parts.from;
          for (let at = decides.from; at < decides.to; at++) deciders[group * seqLen + at]! += 1;
          // What a replica knows of another one is what that one knows of itself.
          for (const peer of peers) {
            const theirs = groups.sharesOf(peer.rank).find((each) => each.group === group);
            t.deepEqual(theirs?.decides, peer.decides);
          }
          t.is(groups.areLocal && peers.length > 0, false);
        }
        t.is(next * groups.partSequences, microbatchSequences);
      }
      t.true(partsIn.every((parts) => parts * groups.partSequences === n));
      t.true(deciders.every((count) => count === 1));
    }),
  );
});

test('choice groups: CHO-3, two replicas have at most one group in common', (t) => {
  fc.assert(
    fc.property(shape, fc.integer({ min: 1, max: 24 }), ({ dp, microbatchSequences, seqLen }, n) => {
      const groups = new ChoiceGroups(n, { microbatchSequences, seqLen });
      for (let rank = 0; rank < dp; rank++) {
        const ranks = groups.sharesOf(dataRank(rank)).flatMap(({ peers }) => peers.map((peer) => peer.rank));
        t.is(new Set(ranks).size, ranks.length);
      }
    }),
  );
});

test('choice groups: the replica floor(q·R / S) of a group decides position q', (t) => {
  // Groups of 256 on 8 replicas of 32 sequences, 20 positions.
  const groups = new ChoiceGroups(256, { microbatchSequences: 32, seqLen: 20 });
  for (let rank = 0; rank < 8; rank++) {
    const [share] = groups.sharesOf(dataRank(8 + rank));
    t.like(share, { group: 1, parts: { from: 0, to: 1 } });
    const decided = Array.from({ length: 20 }, (_, q) => q).filter((q) => Math.floor((q * 8) / 20) === rank);
    t.deepEqual(
      Array.from({ length: 20 }, (_, q) => q).filter(
        (q) => q >= share!.decides.from && q < share!.decides.to,
      ),
      decided,
    );
  }
});
