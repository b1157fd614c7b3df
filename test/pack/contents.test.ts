import test from 'ava';
import { repositoryRoot } from '../tidy/source-file.ts';
import { contentProblems, type Tarball } from './contents.ts';
import { publishedPackages } from './published.ts';

const whole = ['LICENSE', 'README.md', 'package.json', 'dist/index.js', 'dist/index.d.ts'];
const tarball = (paths: readonly string[]): Tarball => ({
  name: '@troupe/core',
  filename: 'troupe-core-0.0.0.tgz',
  size: 1,
  unpackedSize: 1,
  files: paths.map((path) => ({ path })),
});

test('pack: a tarball with what a package needs is right', (t) => {
  t.deepEqual(
    contentProblems(tarball([...whole, 'native/pool.cc', 'dist/ports/clock.js']), () => true),
    [],
  );
});

test('pack: what is missing and what must not travel is named', (t) => {
  for (const path of whole)
    t.deepEqual(
      contentProblems(tarball(whole.filter((each) => each !== path)), () => true),
      [`@troupe/core lacks ${path}`],
    );
  for (const path of [
    'dist/a.test.js',
    'dist/testing/play.js',
    'dist/conformance/suite.d.ts',
    'native/build/pool.cc.o',
    'native/build/pool.cc.o.key',
    'native/build/troupe_native.node',
    'native/test/rows-test.cc',
    'dist/.tsbuildinfo',
    'dist/index.js.map',
    'src/index.ts',
  ])
    t.deepEqual(
      contentProblems(tarball([...whole, path]), () => true),
      [`@troupe/core has ${path}`],
    );
});

test('pack: output of a source that is gone is named', (t) => {
  t.deepEqual(
    contentProblems(tarball([...whole, 'dist/old.js']), (file) => file !== 'dist/old.js'),
    ['@troupe/core has dist/old.js, whose source is gone; remove dist and build again'],
  );
});

test('pack: the packages are those that people need, and the command is not one of its own', (t) => {
  const names = publishedPackages(repositoryRoot()).map(({ name }) => name);
  t.true(names.includes('troupe') && names.includes('@troupe/core'));
  for (const name of ['@troupe/cli', '@troupe/test', '@troupe/examples']) t.false(names.includes(name));
});
