import test from 'ava';
import { drawLines } from './line-chart.ts';

const axis = { isLog: true, shown: (value: number) => value.toExponential(0) };

test('line chart: a curve for each series, broken where told, with ticks, legend and mark', (t) => {
  const svg = drawLines({
    title: 'a < b & "c"',
    x: { ...axis, title: 'FLOPs' },
    y: { title: 'loss', isLog: false, shown: String },
    series: [
      {
        label: 'one',
        points: [
          [1e3, 1],
          [1e4, 2],
          [1e6, 3],
        ],
        mark: [1e4, 2],
      },
      {
        label: 'two',
        points: [
          [1e3, 3],
          [1e6, 0],
        ],
        isDashed: true,
      },
    ],
  });
  t.regex(svg, /^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg"/);
  t.true(svg.includes('<title>a &lt; b &amp; &quot;c&quot;</title>'));
  t.is(svg.match(/<path class="curve"/g)?.length, 4);
  t.is(svg.match(/stroke-dasharray/g)?.length, 2);
  t.is(svg.match(/<circle/g)?.length, 1);
  t.deepEqual(
    [...svg.matchAll(/text-anchor="middle">(1e\+\d)</g)].map(([, tick]) => tick),
    ['1e+3', '1e+4', '1e+5', '1e+6'],
  );
  // From left to right in the logarithm: three decades over 540 pixels, and 114 pixels a unit upwards.
  t.true(svg.includes('d="M70,274L250,160L610,46"'), svg);
  t.notRegex(svg, /NaN|undefined/);
});
