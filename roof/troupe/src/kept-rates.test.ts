import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { keepLargest, RATES_FILE } from './kept-rates.ts';

function cache(t: ExecutionContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'troupe-rates-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

test('kept rates: the largest of a kind, a number of threads and a build is kept', (t) => {
  const folder = join(cache(t), 'not', 'there', 'yet');
  const keep = (rate: number): number => keepLargest({ of: 'f32', threads: 2 }, rate, folder);
  t.is(keep(159), 159);
  t.is(keep(236), 236);
  t.is(keep(116), 236);
  t.is(keepLargest({ of: 'bf16', threads: 2 }, 7, folder), 7);
  t.is(keepLargest({ of: 'f32', threads: 1 }, 5, folder), 5);
  t.is(keep(1), 236);
  t.deepEqual(readdirSync(folder), [RATES_FILE]);
});

test('kept rates: a file that is none is replaced, a wrong entry is measured again', (t) => {
  const folder = cache(t);
  const path = join(folder, RATES_FILE);
  const name = { of: 'bandwidth', threads: 3 } as const;
  for (const text of ['', '{', '[]', 'null', '{"version":2,"rates":{}}', '{"version":1,"rates":null}']) {
    writeFileSync(path, text);
    t.is(keepLargest(name, 10, folder), 10, text);
    t.is(keepLargest(name, 9, folder), 10, text);
  }
  const file = JSON.parse(readFileSync(path, 'utf8')) as { rates: Record<string, unknown> };
  for (const wrong of ['12', -1, null]) {
    for (const key of Object.keys(file.rates)) file.rates[key] = wrong;
    writeFileSync(path, JSON.stringify(file));
    t.is(keepLargest(name, 8, folder), 8);
  }
});

test('kept rates: a folder that cannot be made costs only the memory', (t) => {
  const path = join(cache(t), 'file');
  writeFileSync(path, '');
  t.is(keepLargest({ of: 'f32', threads: 1 }, 4, join(path, 'below')), 4);
  t.is(keepLargest({ of: 'f32', threads: 1 }, 3, join(path, 'below')), 3);
});
