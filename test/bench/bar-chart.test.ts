import test from 'ava';
import { drawBars } from './bar-chart.ts';

const panels = [{ title: 'speed', digits: 0 }];

test('drawBars: lengths are in proportion, ours stands out, labels are escaped', (t) => {
  const svg = drawBars({
    title: 'a race',
    panels,
    bars: [
      { label: 'Troupe', ours: true, values: [{ value: 200 }] },
      { label: 'a < b & c', ours: false, values: [{ value: 50 }] },
      { label: 'absent', ours: false, values: [null] },
    ],
  });
  const width = (kind: string): number =>
    Number(new RegExp(`<rect class="${kind}"[^>]* width="([\\d.]+)"`, 'u').exec(svg)?.[1]);
  t.true(Math.abs(width('ours') / width('other') - 4) < 0.01, `${width('ours')} to ${width('other')}`);
  t.true(svg.includes('>a &lt; b &amp; c</text>'));
  t.is(svg.match(/<rect class="(?:ours|other)"/gu)?.length, 2);
});

test('drawBars: the longest whisker, too, stays inside its panel', (t) => {
  const svg = drawBars({
    title: 'a race',
    panels,
    bars: [{ label: 'x', ours: true, values: [{ value: 100, least: 50, most: 400 }] }],
  });
  const end = Number(/class="whisker" d="M[\d.]+ [\d.]+v8m0 -4H([\d.]+)m/u.exec(svg)?.[1]);
  t.true(end > 100 && end <= 900, `ends at ${end}`);
});
