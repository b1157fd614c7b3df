import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { nativeIsas } from '@troupe/kernels';
import { repositoryRoot } from '../tidy/source-file.ts';
import { apiPage } from './api-page.ts';
import { withMessages } from './messages-table.ts';
import { pageOf, partsOf, withoutMeasures } from './page.ts';
import { topologyPage } from './topology-page.ts';
import { runPage } from './run-page.ts';

const root = repositoryRoot();
const read = (name: string): string => readFileSync(join(root, 'docs', name), 'utf8');
const pages = readdirSync(join(root, 'docs')).filter((name) =>
  partsOf(read(name)).some(({ kind }) => kind === 'shown'),
);

// Losses are those of the native kernels.
const whenNative = nativeIsas().length === 0 ? test.skip : test;
for (const name of pages)
  whenNative(`docs: ${name} shows what its commands print (npm run docs writes it)`, (t) => {
    const page = read(name);
    t.is(withoutMeasures(runPage(root, page)), withoutMeasures(page));
  });

test('docs: pages with outputs are there', (t) => {
  for (const name of ['simulate.md', 'getting-started.md']) t.true(pages.includes(name), name);
});

test('docs: api.md is made from the comments of today (npm run docs writes it)', (t) => {
  t.true(apiPage(root) === read('api.md'));
});

test('docs: topology.md is made from the schema of today (npm run docs writes it)', (t) => {
  const page = topologyPage();
  t.true(page === read('topology.md'));
  const keys = [...page.matchAll(/^\| `([^`]+)` \| (.*?) \| .* \| (.+) \|$/gmu)];
  t.true(keys.length > 100, `${keys.length} keys`);
  for (const key of [
    'model.moe.topK',
    'train.optimizer.lr',
    'machines[].speed.tflops',
    'faults[].when.state',
  ])
    t.true(
      keys.some(([, found]) => found === key),
      key,
    );
  for (const [row] of keys) t.notRegex(row, /\| *\|$|undefined/u);
});

test('docs: the table in actors/README.md is the catalogue of today (npm run docs writes it)', (t) => {
  const page = readFileSync(join(root, 'actors', 'README.md'), 'utf8');
  t.is(withMessages(page), page);
  t.not(
    withMessages(page.replace('| `rows.dispatch` |', '| `rows.sent` |')),
    page.replace('| `rows.dispatch` |', '| `rows.sent` |'),
  );
});

test('docs: an output that is not what the command prints is seen, a measured figure is not', (t) => {
  const page =
    'Text.\n\n```yaml a.yaml\na: 1\n```\n\n```console\n$ cat a.yaml; echo 5 tokens/s\na: 1\n7 tokens/s\n```\nMore.\n';
  t.is(pageOf(partsOf(page)), page);
  t.is(withoutMeasures(runPage(root, page)), withoutMeasures(page));
  const wrong = page.replace('\na: 1\n7', '\na: 2\n7');
  t.not(withoutMeasures(runPage(root, wrong)), withoutMeasures(wrong));
});
