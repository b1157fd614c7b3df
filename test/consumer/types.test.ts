import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync, copyFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { repositoryRoot } from '../tidy/source-file.ts';

const root = repositoryRoot();

/** Compiles the program in a folder of its own, where nothing but `troupe` and the types of Node can be found, as npm would put them. */
function compile(t: ExecutionContext, more: object): string {
  const folder = mkdtempSync(join(tmpdir(), 'troupe-types-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  copyFileSync(join(root, 'test/consumer/program.ts'), join(folder, 'program.ts'));
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ type: 'module' }));
  const compilerOptions = {
    strict: true,
    skipLibCheck: false,
    noEmit: true,
    target: 'es2023',
    module: 'nodenext',
    ...more,
  };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['program.ts'] }));
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
  test(`types: a program ${name} compiles with strict and without skipLibCheck, and sees no types of xstate or TensorFlow.js`, (t) => {
    const files = compile(t, more).split('\n');
    t.true(files.some((file) => file.endsWith('packages/troupe/dist/index.d.ts')));
    t.deepEqual(
      files.filter((file) => /\/node_modules\/(?:xstate|@tensorflow|@webgpu|pino|zeromq)\//u.test(file)),
      [],
    );
  });
}
