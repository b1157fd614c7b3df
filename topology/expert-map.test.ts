import test from 'ava';
import * as fc from 'fast-check';
import {
  balancedExperts,
  contiguousExperts,
  rankOf_E,
  writtenExperts,
  type ExpertMap,
} from './expert-map.ts';
import { expertGroupId } from './layout/rank.ts';

const listsOf = (map: ExpertMap): readonly (readonly number[])[] =>
  Array.from({ length: map.numGroups }, (_, group) => map.expertsOf(expertGroupId(group)));

const loads = fc.array(fc.integer({ min: 0, max: 50 }), { minLength: 1, maxLength: 40 });
const groupCounts = fc.integer({ min: 1, max: 9 });

test('MAP-1: every expert is in one group, in rising order, whatever made the map', (t) => {
  const maps = fc.oneof(
    fc.tuple(groupCounts, groupCounts).map(([each, groups]) => contiguousExperts(each * groups, groups)),
    fc.tuple(loads, groupCounts).map(([load_E, groups]) => balancedExperts(load_E, groups)),
    fc
      .tuple(
        fc.array(
          groupCounts.map((group) => group - 1),
          { maxLength: 30 },
        ),
        fc.constant(9),
      )
      .map(([groupOf, groups]) =>
        writtenExperts(
          Array.from({ length: groups }, (_, group) =>
            groupOf.flatMap((each, expert) => (each === group ? [expert] : [])).toReversed(),
          ),
        ),
      ),
  );
  fc.assert(
    fc.property(maps, (map) => {
      const lists = listsOf(map);
      t.deepEqual(
        lists.flat().toSorted((a, b) => a - b),
        Array.from({ length: map.numExperts }, (_, expert) => expert),
      );
      const ranks = rankOf_E(map);
      lists.forEach((experts, group) => {
        t.deepEqual(
          experts,
          experts.toSorted((a, b) => a - b),
        );
        for (const expert of experts) {
          t.is(Number(map.groupOf(expert)), group);
          t.is(ranks[expert], group);
        }
      });
    }),
  );
});

test('contiguousExperts: 8 experts in 2 groups are 0 to 3 and 4 to 7', (t) => {
  t.deepEqual(listsOf(contiguousExperts(8, 2)), [
    [0, 1, 2, 3],
    [4, 5, 6, 7],
  ]);
  t.throws(() => contiguousExperts(8, 3), { code: 'TROUPE_INVARIANT' });
  t.throws(() => contiguousExperts(8, 2).groupOf(8), { code: 'TROUPE_INVARIANT' });
});

test('balancedExperts: hot experts are apart, groups are equal in size, ties go to the lower index', (t) => {
  t.deepEqual(listsOf(balancedExperts([10, 9, 1, 1], 2)), [
    [0, 3],
    [1, 2],
  ]);
  t.deepEqual(listsOf(balancedExperts([0, 0, 0, 0, 0], 2)), [
    [0, 1, 2],
    [3, 4],
  ]);
  fc.assert(
    fc.property(loads, groupCounts, (load_E, groups) => {
      const sizes = listsOf(balancedExperts(load_E, groups)).map(({ length }) => length);
      t.true(Math.max(...sizes) - Math.min(...sizes) <= 1);
    }),
  );
});

test('writtenExperts: refuses an expert that is in two groups or in none', (t) => {
  t.deepEqual(listsOf(writtenExperts([[2, 0], [], [1]])), [[0, 2], [], [1]], 'groups may be uneven or empty');
  t.throws(() => writtenExperts([[0, 1], [1]]), { message: /in one group/ });
  t.throws(() => writtenExperts([[0], [2]]), { message: /every expert is in a group/ });
});
