import test from 'ava';
import { benchScaling, formatScaling } from './scaling.ts';

test('bench scaling: what a device controls does not grow with the cluster', async (t) => {
  const rows = await benchScaling({ size: 'small' });
  t.deepEqual(
    rows.map(({ devices }) => devices),
    [2, 8],
  );
  const [two, eight] = rows;
  t.true((eight?.controlMessages ?? 0) < 1.5 * (two?.controlMessages ?? 0), formatScaling(rows));
  t.true((two?.dataMessages ?? 0) > 0);
  t.regex(formatScaling(rows), /\| 8 \| \d/);
});
