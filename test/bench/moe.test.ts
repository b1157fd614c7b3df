import { tmpdir } from 'node:os';
import test from 'ava';
import { benchMoe, formatMoe, YardstickError } from './moe.ts';

test('benchMoe: both precisions run on one and two threads and every figure is there', async (t) => {
  const rows = await benchMoe({ size: 'small', precisions: ['f32', 'bf16'] });
  t.deepEqual(
    rows.map(({ precision, threads, engine }) => [precision, threads, engine]),
    [
      ['f32', 1, 'troupe'],
      ['f32', 2, 'troupe'],
      ['bf16', 1, 'troupe'],
      ['bf16', 2, 'troupe'],
    ],
  );
  for (const { least, middle, shareOfPeak } of rows) t.true(least > 0 && middle >= least && shareOfPeak > 0);
  t.regex(formatMoe(rows), /--yardstick DIR/);
});

test('benchMoe: a folder without the program is an error that says what makes it', async (t) => {
  const error = await t.throwsAsync(benchMoe({ size: 'small', precisions: ['f32'], yardstick: tmpdir() }), {
    instanceOf: YardstickError,
  });
  t.regex(error.message, /build\.sh/);
});
