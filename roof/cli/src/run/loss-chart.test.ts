import test from 'ava';
import { lossChart } from './loss-chart.ts';

const curve = (losses: readonly number[]) => losses.map((loss, index) => ({ step: index + 1, loss }));

test('loss chart: one dot a column, the largest at the top, the smallest at the bottom', (t) => {
  const lines = lossChart(curve([8, 7, 6, 5, 4, 3, 2, 1]));
  t.is(lines.length, 10);
  t.is(lines[0], '   8.000 ┤•');
  t.is(lines[7], '   1.000 ┤       •');
  t.is(lines[8], '         └────────');
});

test('loss chart: a long run becomes 60 columns of means', (t) => {
  const lines = lossChart(curve(Array.from({ length: 6000 }, (_, index) => 6000 - index)));
  t.is(lines.join('\n').match(/•/g)?.length, 60);
  t.is(lines[0], '5950.500 ┤•••••');
  t.regex(lines[9] ?? '', /^ {10}step 1 +step 6000$/);
});

test('loss chart: a flat curve is a line, non-finite points are left out and counted, one point is no curve', (t) => {
  t.is(lossChart(curve([2, 2, 2]))[0], '   2.000 ┤•••');
  t.is(lossChart(curve([3, Number.NaN, 1]))[0], '   3.000 ┤•');
  t.is(lossChart(curve([3, Number.NaN, 1])).at(-1), '          overflow: 1 of 3 steps have no loss');
  t.false(
    lossChart(curve([3, 2, 1]))
      .join('')
      .includes('overflow'),
  );
  t.deepEqual(lossChart(curve([Number.NaN, Number.NaN])), ['          overflow: 2 of 2 steps have no loss']);
  t.deepEqual(lossChart(curve([1])), []);
  t.deepEqual(lossChart([]), []);
});
