import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { repositoryRoot } from '../tidy/source-file.ts';

const root = repositoryRoot();

const program = { 'program.ts': readFileSync(join(root, 'test/consumer/program.ts'), 'utf8') };

/** The programs that a page shows. */
const blocksOf = (page: string): Readonly<Record<string, string>> =>
  Object.fromEntries(
    [...page.matchAll(/^```ts\n(.*?)^```$/gmsu)].map(([, text = ''], index) => [`block-${index}.ts`, text]),
  );

/** Compiles programs in a folder of its own, where nothing but `troupe` and the types of Node can be found, as npm would put them. */
function compile(
  t: ExecutionContext,
  more: object,
  files: Readonly<Record<string, string>> = program,
): string {
  const folder = mkdtempSync(join(tmpdir(), 'troupe-types-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ type: 'module' }));
  const compilerOptions = {
    strict: true,
    skipLibCheck: false,
    noEmit: true,
    target: 'es2023',
    module: 'nodenext',
    ...more,
  };
  writeFileSync(
    join(folder, 'tsconfig.json'),
    JSON.stringify({ compilerOptions, files: Object.keys(files) }),
  );
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  try {
    return execFileSync(process.execPath, [tsc, '-p', folder, '--listFiles'], { encoding: 'utf8' });
  } catch (error) {
    return t.fail((error as { readonly stdout?: string }).stdout ?? String(error)) as never;
  }
}

const strictest = {
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  noPropertyAccessFromIndexSignature: true,
};

for (const [name, more] of Object.entries({
  'of Node': { lib: ['es2023'], types: ['node'], ...strictest },
  'of a browser, without the types of Node': { types: [], ...strictest },
  'with a bundler': { module: 'esnext', moduleResolution: 'bundler', types: ['node'] },
})) {
  test(`types: a program ${name} compiles with strict and without skipLibCheck, and sees no types of xstate, TensorFlow.js or ZeroMQ`, (t) => {
    const files = compile(t, more).split('\n');
    t.true(files.some((file) => file.endsWith('packages/troupe/dist/index.d.ts')));
    t.deepEqual(
      files.filter((file) => /\/node_modules\/(?:xstate|@tensorflow|@webgpu|pino|zeromq)\//u.test(file)),
      [],
    );
  });
}

test('types: the programs that the README of troupe shows compile', (t) => {
  const blocks = blocksOf(readFileSync(join(root, 'packages/troupe/README.md'), 'utf8'));
  t.true(Object.keys(blocks).length >= 6, Object.keys(blocks).join(', '));
  const files = compile(t, { types: ['node'], ...strictest }, blocks);
  t.true(files.includes('block-0.ts'));
});
