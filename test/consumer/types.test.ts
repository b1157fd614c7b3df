import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { repositoryRoot } from '../tidy/source-file.ts';

const root = repositoryRoot();

/** The programs that a page shows. */
const blocksOf = (page: string): Readonly<Record<string, string>> =>
  Object.fromEntries(
    [...page.matchAll(/^```ts\n(.*?)^```$/gmsu)].map(([, text = ''], index) => [`block-${index}.ts`, text]),
  );

/** The compiler of the workspace, and the last one of the line before. */
const compilers = { 7: 'node_modules/typescript', 5: 'test/node_modules/typescript' } as const;

/** Compiles programs in a folder of its own, where nothing but `troupe` and the types of Node can be found, as npm would put them. */
function compile(
  t: ExecutionContext,
  more: object,
  files: Readonly<Record<string, string>>,
  version: keyof typeof compilers,
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
  const tsc = join(root, compilers[version], 'bin/tsc');
  try {
    return execFileSync(process.execPath, [tsc, '-p', folder, '--listFiles'], { encoding: 'utf8' });
  } catch (error) {
    return t.fail((error as { readonly stdout?: string }).stdout ?? String(error));
  }
}

const strictest = {
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  noPropertyAccessFromIndexSignature: true,
};

const pages = blocksOf(readFileSync(join(root, 'roof/troupe/README.md'), 'utf8'));
const programs = { 'program.ts': readFileSync(join(root, 'test/consumer/program.ts'), 'utf8'), ...pages };

for (const [version, name, more] of [
  [7, 'of Node', { lib: ['es2023'], types: ['node'] }],
  [7, 'of a browser, without the types of Node', { types: [] }],
  [5, 'of Node', { lib: ['es2023'], types: ['node'] }],
] as const)
  test(`types: under TypeScript ${version} programs ${name}, those of the README too, compile with strict and without skipLibCheck, and see no types of xstate, TensorFlow.js or ZeroMQ`, (t) => {
    // The page's programs speak of a process.
    const files = name === 'of Node' ? programs : { 'program.ts': programs['program.ts'] };
    const listed = compile(t, { ...more, ...strictest }, files, version).split('\n');
    t.true(listed.some((file) => file.endsWith('roof/troupe/dist/index.d.ts')));
    t.true(Object.keys(pages).length >= 6);
    for (const file of Object.keys(files))
      t.true(
        listed.some((each) => each.endsWith(file)),
        file,
      );
    t.deepEqual(
      listed.filter((file) => /\/node_modules\/(?:xstate|@tensorflow|@webgpu|pino|zeromq)\//u.test(file)),
      [],
    );
  });
