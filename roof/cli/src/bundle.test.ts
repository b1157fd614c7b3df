import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import test from 'ava';
import { workplace } from './testing/workplace.ts';

/** What people install: it carries the command. */
const folder = fileURLToPath(new URL('../../troupe/', import.meta.url));
const bundle = join(folder, 'bundle');
const modules = readdirSync(bundle).filter((name) => name.endsWith('.js'));

/** Built on the user's machine, or never. */
const optional = /troupe_native\.node$/u;

test('what the bundle looks for on the disk is there', (t) => {
  const placed =
    /new URL\("([^"]+)", (?:new URL\("([^"]+)", import\.meta\.(?:url|resolve\("([^"]+)"\))\)\.href|import\.meta\.url)\)/gu;
  const found: string[] = [];
  for (const name of modules) {
    const here = pathToFileURL(join(bundle, name));
    for (const [, target = '', origin, specifier] of readFileSync(here, 'utf8').matchAll(placed)) {
      const base = specifier === undefined ? here : import.meta.resolve(specifier);
      const path = fileURLToPath(new URL(target, origin === undefined ? here : new URL(origin, base)));
      found.push(path);
      if (!optional.test(path)) t.true(existsSync(path), `${name} names ${path}`);
    }
  }
  t.true(found.includes(join(bundle, 'worker-main.js')), 'workers are started from the bundle');
  t.true(found.length > 5, `only ${found.length} were seen`);
});

test('the bundle brings no second copy of what it leaves outside', (t) => {
  for (const name of modules)
    t.notRegex(
      readFileSync(join(bundle, name), 'utf8'),
      /from "@?troupe(?:\/|")/u,
      `${name} loads a package of ours`,
    );
});

/** The bin between a bundle and a dist that only say which they are, in an empty package. */
function install(path: (name: string) => string): () => string {
  for (const each of ['troupe/bin', 'troupe/bundle', 'cli/dist']) mkdirSync(path(each), { recursive: true });
  writeFileSync(path('package.json'), '{ "type": "module" }');
  cpSync(join(folder, 'bin/troupe.js'), path('troupe/bin/troupe.js'));
  for (const each of ['troupe/bundle', 'cli/dist'])
    writeFileSync(path(`${each}/main.js`), `console.log('${basename(each)}');`);
  writeFileSync(path('troupe/bundle/sources.json'), '["../../cli/dist/.tsbuildinfo"]');
  writeFileSync(path('cli/dist/.tsbuildinfo'), '{}');
  return () => execFileSync(process.execPath, [path('troupe/bin/troupe.js')], { encoding: 'utf8' }).trim();
}

const age = (path: string, seconds: number): void => utimesSync(path, seconds, seconds);

test('the command runs the bundle until something is compiled after it', (t) => {
  const { path } = workplace(t);
  const run = install(path);
  age(path('troupe/bundle/sources.json'), 1000);
  age(path('cli/dist/.tsbuildinfo'), 999);
  t.is(run(), 'bundle');
  age(path('cli/dist/.tsbuildinfo'), 1001);
  t.is(run(), 'dist');
  rmSync(path('cli/dist/.tsbuildinfo'));
  t.is(run(), 'bundle', 'a package without what tsc notes');
  rmSync(path('troupe/bundle'), { recursive: true });
  t.is(run(), 'dist');
});
