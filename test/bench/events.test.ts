import test from 'ava';
import { benchEvents, formatEvents } from './events.ts';

test('bench events: runs of one seed are the same run, and their events are counted', async (t) => {
  const [row, ...others] = await benchEvents({ size: 'small' });
  t.deepEqual(others, []);
  t.is(row?.devices, 2);
  t.true((row?.numEvents ?? 0) > 1000);
  t.true((row?.best ?? 0) > 0);
  t.regex(formatEvents(row === undefined ? [] : [row]), /\| 2 \| 3 \| [\d,]+ \|/u);
});
