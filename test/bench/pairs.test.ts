import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { CheckoutError, openCheckout } from './checkout.ts';
import type { PairsRow } from './pairs.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const program = fileURLToPath(new URL('main.js', import.meta.url));

test('bench pairs: a build against itself, every figure once', (t) => {
  const args = [program, 'pairs', '--small', '--json', '--pairs', '1', '--old', root];
  const { stdout, stderr, status } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  t.is(status, 0, stderr);
  const rows = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as PairsRow);
  t.deepEqual(
    rows.map(({ workload, figure }) => `${workload}, ${figure}`),
    [
      'start-up, s to the opening of step 1',
      'start-up, s to its end',
      'simulator 8 devices, processor µs an event',
      'simulator 8 devices, processor s a step',
      'memory 8 devices, MB at most',
      'memory 8 devices, processor s in all',
    ],
  );
  for (const row of rows) t.true(row.old > 0 && row.new > 0 && row.ratio.median > 0, JSON.stringify(row));
});

test('checkout: the package is found by its name; a folder without it is named', (t) => {
  t.regex(openCheckout(root).bin, /\/troupe\/bin\/troupe\.js$/u);
  t.throws(() => openCheckout(`${root}/docs`), {
    instanceOf: CheckoutError,
    message: /no package "troupe"/u,
  });
});
