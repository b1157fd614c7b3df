/** Pages that speak of the whole house, held against what is there. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { floors, floorsOfPage, heightOf } from './tidy/floors.ts';
import { arrows, houseOfRoom } from './tidy/layers.ts';
import { filesNaming } from './tidy/router-names.ts';
import { repositoryPaths, repositoryRoot, repositorySources } from './tidy/source-file.ts';

const root = repositoryRoot();
const paths = repositoryPaths(root);
const files = repositorySources(root);
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

test('house: the README shows the floors that the rules know', (t) => {
  const page = read('README.md');
  t.deepEqual(floorsOfPage(page), floors);
  t.notDeepEqual(floorsOfPage(page.replace(/^\| \| \[`engine\/data`.*\n/m, '')), floors);
  for (const [house, allowed] of Object.entries(arrows)) {
    t.true(heightOf(house) < floors.length, `${house} lies on a floor`);
    for (const room of allowed === 'all' ? [] : allowed)
      t.true(heightOf(houseOfRoom(room)) <= heightOf(house), `${house} may import ${room}`);
  }
  const folders = floors.flatMap((floor) => floor.folders);
  const { workspaces } = JSON.parse(read('package.json')) as {
    workspaces: readonly string[];
  };
  t.deepEqual(workspaces.toSorted(), folders.toSorted());
});

test('house: the table of routers is one of few files that name them', (t) => {
  const learned = filesNaming(files, 'learned');
  t.log(`learned: ${learned.join(', ')}`);
  t.true(learned.includes('ground/spec/src/routers.ts'));
});

test('house: docs/extend.md names files that are there', (t) => {
  const page = read('docs/extend.md').split('## What it came to')[0] ?? '';
  const named = [...page.matchAll(/`([\w./-]+\.(?:ts|inc|h|cc|json))`/g)]
    .map(([, path = '']) => path)
    .filter((path) => !/NAME|RECEIVER|SENDER/.test(path));
  t.true(named.length > 30, `${named.length} files`);
  const isThere = (path: string): boolean => paths.some((each) => each === path || each.endsWith(`/${path}`));
  t.deepEqual(
    named.filter((path) => !isThere(path)),
    [],
  );
  t.false(isThere('gate/gone.ts'));
});
