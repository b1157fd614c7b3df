import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import test from 'ava';

const folder = fileURLToPath(new URL('../', import.meta.url));
const bundle = join(folder, 'bundle');

/** Built on the user's machine, or never. */
const optional = /troupe_native\.node$/u;

test('what the bundle looks for on the disk is there', (t) => {
  const placed =
    /new URL\("([^"]+)", (?:new URL\("([^"]+)", import\.meta\.url\)\.href|import\.meta\.url)\)/gu;
  const found: string[] = [];
  for (const name of readdirSync(bundle).filter((name) => name.endsWith('.js'))) {
    const here = pathToFileURL(join(bundle, name));
    for (const [, target = '', origin] of readFileSync(here, 'utf8').matchAll(placed)) {
      const path = fileURLToPath(new URL(target, origin === undefined ? here : new URL(origin, here)));
      found.push(path);
      if (!optional.test(path)) t.true(existsSync(path), `${name} names ${path}`);
    }
  }
  t.true(found.includes(join(bundle, 'worker-main.js')), 'workers are started from the bundle');
  t.true(found.length > 5, `only ${found.length} were seen`);
});

test('the bundle brings no second copy of what it leaves outside', (t) => {
  const sources = readdirSync(bundle).filter((name) => name.endsWith('.js'));
  for (const name of sources)
    t.notRegex(
      readFileSync(join(bundle, name), 'utf8'),
      /from "@?troupe(?:\/|")/u,
      `${name} loads a package of ours`,
    );
});

/** A copy of the bin between a bundle and a dist that only say which they are. */
function installed(): { readonly run: () => string; readonly folder: string } {
  const copy = mkdtempSync(join(tmpdir(), 'troupe-bin-'));
  for (const each of ['bin', 'bundle', 'dist']) mkdirSync(join(copy, each));
  writeFileSync(join(copy, 'package.json'), '{ "type": "module" }');
  cpSync(join(folder, 'bin/troupe.js'), join(copy, 'bin/troupe.js'));
  for (const each of ['bundle', 'dist'])
    writeFileSync(join(copy, each, 'main.js'), `console.log('${each}');`);
  writeFileSync(join(copy, 'bundle/sources.json'), '["../dist/.tsbuildinfo"]');
  writeFileSync(join(copy, 'dist/.tsbuildinfo'), '{}');
  const run = (): string =>
    execFileSync(process.execPath, [join(copy, 'bin/troupe.js')], { encoding: 'utf8' }).trim();
  return { run, folder: copy };
}

const age = (path: string, seconds: number): void => utimesSync(path, seconds, seconds);

test('the command runs the bundle until something is compiled after it', (t) => {
  const { run, folder: copy } = installed();
  t.teardown(() => rmSync(copy, { recursive: true }));
  age(join(copy, 'bundle/sources.json'), 1000);
  age(join(copy, 'dist/.tsbuildinfo'), 999);
  t.is(run(), 'bundle');
  age(join(copy, 'dist/.tsbuildinfo'), 1001);
  t.is(run(), 'dist');
  rmSync(join(copy, 'dist/.tsbuildinfo'));
  t.is(run(), 'bundle', 'a package without what tsc notes');
  rmSync(join(copy, 'bundle'), { recursive: true });
  t.is(run(), 'dist');
});
