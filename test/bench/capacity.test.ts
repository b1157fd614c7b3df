import test from 'ava';
import { benchCapacity } from './capacity.ts';
import { capacitySections } from './capacity-page.ts';

test('bench capacity: the largest model runs a step, the next one is refused, and formulas are marked', async (t) => {
  const capacity = await benchCapacity({ size: 'small' });
  t.true(capacity.rows.length >= 2 && capacity.throughput.length === 2);
  for (const { own, papers } of capacity.rows) {
    t.is(own.basis, 'simulated');
    t.is(papers.basis, 'formula');
    t.true(own.size > 0 && own.deviceBytes <= 40e9);
  }
  const [first, same, second] = capacitySections(capacity).map(({ text }) => text);
  t.regex(
    first ?? '',
    /^\| 2 \| E\+D \| dp 2, ep 2, zero 0 \| \d+\.\d\d \| \d+ \| [\d.]+ GiB \| 0 B \| [\d.]+ † \| – \|$/mu,
  );
  t.is(capacity.same.own.basis, 'simulated');
  t.regex(same ?? '', /^\| as Troupe allocates \| \d+\.\d\d \| E\+D on 2 \| E\+Z-Off on 1: runs \|$/mu);
  t.regex(second ?? '', /^\| 4 \| .* % \|$/mu);
});
