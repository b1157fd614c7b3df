import test from 'ava';
import { benchSmallExperts } from './small-experts.ts';
import { aimSentence, smallExpertsSections } from './small-experts-page.ts';

test('benchSmallExperts: every leaf of every case has a figure, and so has every operation of routing', async (t) => {
  const found = await benchSmallExperts({ size: 'small', rounds: 1 });
  t.deepEqual(
    found.rows.map(({ experts, width, rows, cells }) => [
      experts,
      width,
      rows,
      cells.map(({ leaf }) => leaf),
    ]),
    [
      [64, 32, 4, [1, 4]],
      [64, 32, 16, [1, 4, 16]],
    ],
  );
  for (const { cells } of found.rows) {
    t.true(cells.every(({ ms, ofDense }) => ms > 0 && ofDense > 0));
    t.is(cells.at(-1)?.leafShare, 0);
  }
  t.true(found.denseFlops > 0);
  t.true(found.routing.every(({ nsPerUnit }) => nsPerUnit > 0));
  t.deepEqual(
    found.routing.map(({ op }) => op),
    [
      'gate.forward',
      'choice.candidates',
      'choice.thresholds',
      'choice.take',
      'route.plan',
      'gather.scalars',
      'combine',
    ],
  );
  const [experts, routing] = smallExpertsSections(found);
  t.regex(
    experts?.text ?? '',
    /\| 64 \| 32 \| 16 \| [\d.]+ \(-?\d+ %\) \| [\d.]+ \(-?\d+ %\) \|  \|  \| [\d.]+ \|/,
  );
  t.regex(routing?.text ?? '', /\| choice\.take \| 4096×64, 4 of 32 each \|/);
});

test('small experts: the aim counts cases with enough rows and long enough leaves only', (t) => {
  const cell = (leaf: number, ofDense: number) => ({ leaf, ofDense, ms: 1, leafShare: 0 });
  const rows = [
    { experts: 64, width: 32, rows: 16, cells: [cell(16, 0.1)] },
    { experts: 64, width: 32, rows: 64, cells: [cell(4, 0.2), cell(16, 0.6), cell(64, 0.4)] },
  ];
  t.is(
    aimSentence(rows),
    'Of 2 cases with at least 64 rows an expert and 16 a leaf, 1 reach half of the dense speed; the slowest, 64 experts of 32 with 64 rows in leaves of 64, has 0.40 of it.',
  );
  t.is(aimSentence(rows.slice(0, 1)), 'No case has 64 rows an expert and 16 a leaf.');
});
