import test from 'ava';
import { groupDifferences, partMeans, seedGroups } from './seed-groups.ts';

const runs = (group: string, ...losses: readonly number[]) => losses.map((loss) => ({ group, loss }));

test('seeds: a difference of means within two deviations of it is none', (t) => {
  // Deviations of √2 · 0.01 and √2 · 0.03, pooled: √((2e-4 + 18e-4) / 2).
  const groups = seedGroups([
    ...runs('moe', 2.99, 3.01),
    ...runs('dense', 3.47, 3.53),
    ...runs('late', 3.05),
  ]);
  const pooled = Math.sqrt(0.001);
  t.deepEqual(
    groups.map(({ group, numRuns }) => [group, numRuns]),
    [
      ['moe', 2],
      ['dense', 2],
      ['late', 1],
    ],
  );
  for (const { deviation } of groups) t.true(Math.abs((deviation ?? 0) - pooled) < 1e-12);
  const [dense, late] = groupDifferences(groups);
  t.like(dense, { group: 'dense', other: 'moe', verdict: 'worse' });
  t.true(Math.abs((dense?.value ?? 0) - 0.5) < 1e-12);
  t.true(Math.abs((dense?.noise ?? 0) - 2 * pooled) < 1e-12);
  t.like(late, { verdict: 'none' });
  t.true(Math.abs((late?.noise ?? 0) - 2 * pooled * Math.sqrt(1.5)) < 1e-12);
  t.is(groupDifferences([...groups].reverse())[1]?.verdict, 'none');
  t.is(groupDifferences([groups[1], groups[0]].flatMap((each) => each ?? []))[0]?.verdict, 'better');
});

test('seeds: one run of each says nothing of noise', (t) => {
  const groups = seedGroups([...runs('a', 3), ...runs('b', 4)]);
  t.deepEqual(groupDifferences(groups), [
    { group: 'b', other: 'a', value: 1, noise: null, verdict: 'unknown' },
  ]);
});

test('seeds: the loss of a task is that of its tokens, and a group without it has none', (t) => {
  const part = (task: string, language: string, loss: number, tokens: number) => ({
    task,
    language,
    loss,
    tokens,
  });
  const means = partMeans([
    {
      group: 'both',
      loss: 0,
      parts: [part('mt', 'de', 2, 30), part('mt', 'fr', 4, 10), part('noise', 'de', 1, 5)],
    },
    { group: 'mt', loss: 0, parts: [part('mt', 'de', 3, 30), part('mt', 'fr', 1, 10)] },
    { group: 'mt', loss: 0, parts: [part('mt', 'de', 5, 30), part('mt', 'fr', 1, 10)] },
  ]);
  t.deepEqual(
    means.map(({ task, language, groups }) => [task, language, ...groups.map((each) => each?.mean ?? null)]),
    [
      ['mt', null, 2.5, 3.25],
      ['mt', 'de', 2, 4],
      ['mt', 'fr', 4, 1],
      ['noise', null, 1, null],
      ['noise', 'de', 1, null],
    ],
  );
});
