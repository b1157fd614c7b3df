import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { TroupeError } from '@troupe/core';
import { TopologyError, problemCodes, type ProblemCode } from '@troupe/topology';
import { exitCodeOf } from 'troupe';
import { isTest } from './tidy/layers.ts';
import { repositoryPaths, repositoryRoot, sourceFile } from './tidy/source-file.ts';

interface Row {
  readonly code: string;
  readonly meaning: string;
  readonly retryable: string;
  readonly exit: string;
}

function rowsOf(page: string): readonly Row[] {
  return [...page.matchAll(/^\| `(TROUPE_[A-Z_]+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$/gm)].map(
    ([, code = '', meaning = '', retryable = '', exit = '']) => ({
      code,
      meaning,
      retryable: retryable.trim(),
      exit: exit.trim(),
    }),
  );
}

interface Found {
  readonly code: string;
  readonly path: string;
  /** The code is followed, before the next one or the end of its block, by `retryable: true`. */
  readonly saysRetryable: boolean;
}

/** Codes that stand in quotes in the source, in TypeScript outside comments and tests, and in C++. */
function codesIn(path: string, text: string): readonly Found[] {
  const isTypeScript = path.endsWith('.ts');
  const code = isTypeScript ? sourceFile(path, text).withStrings : text.replaceAll(/\/\/.*$/gm, '');
  const matches = [
    ...code.matchAll(/(?<!getenv\()(['"])(TROUPE_[A-Z][A-Z_]*[A-Z])\1(?!\])/g),
    ...code.matchAll(/(^|\s)(TROUPE_[A-Z_]+[A-Z])(?=: exitCodes)/g),
  ];
  return matches.map((match) => {
    const rest = code.slice(match.index + match[0].length);
    const end = rest.search(/['"]TROUPE_|\n\}/);
    return {
      code: match[2] ?? '',
      path,
      saysRetryable: /retryable: true/.test(end < 0 ? rest : rest.slice(0, end)),
    };
  });
}

const root = repositoryRoot();
const rows = rowsOf(readFileSync(join(root, 'docs/errors.md'), 'utf8'));
const found = repositoryPaths(root)
  .filter((path) => /\.(?:ts|cc|h|inc)$/.test(path) && !isTest(path) && !/^(?:test|examples)\//.test(path))
  .flatMap((path) => codesIn(path, readFileSync(join(root, path), 'utf8')));
const sorted = (codes: Iterable<string>): readonly string[] => [...new Set(codes)].sort();

test('errors: the catalogue names every code of the source and no other', (t) => {
  t.deepEqual(sorted(rows.map(({ code }) => code)), sorted(found.map(({ code }) => code)));
  t.is(new Set(rows.map(({ code }) => code)).size, rows.length, 'each code once');
  t.deepEqual(
    rows.map(({ code }) => code),
    rows.map(({ code }) => code).toSorted(),
    'in alphabetical order',
  );
  t.true(rows.length >= 65, `${rows.length} codes`);
  t.true(rows.every(({ meaning }) => meaning.trim().length > 10));
});

test('errors: a code that is missing on either side is seen', (t) => {
  t.deepEqual(
    codesIn('a.ts', `// 'TROUPE_A_B'\nsuper('TROUPE_C_D', 'x');`).map(({ code }) => code),
    ['TROUPE_C_D'],
  );
  t.deepEqual(
    codesIn('a.cc', `// "TROUPE_A_B"\nfail("TROUPE_KERNEL_X"); TROUPE_MACRO(x)`).map(({ code }) => code),
    ['TROUPE_KERNEL_X'],
  );
  t.deepEqual(
    codesIn('a.ts', `const map = { TROUPE_X_Y: exitCodes.usage };`).map(({ code }) => code),
    ['TROUPE_X_Y'],
  );
  t.deepEqual(codesIn('a.ts', `process.env['TROUPE_ENV'];`), []);
  t.deepEqual(
    rowsOf('| `TROUPE_X` | a meaning | no | 1 |\n| TROUPE_Y | none | no | 1 |').map(({ code }) => code),
    ['TROUPE_X'],
  );
  t.deepEqual(
    codesIn('a.ts', `f('TROUPE_AA', { retryable: true });\ng('TROUPE_BB');`).map(
      ({ saysRetryable }) => saysRetryable,
    ),
    [true, false],
  );
});

test('errors: the catalogue is right about retryable', (t) => {
  const says = new Map<string, boolean>();
  for (const { code, saysRetryable } of found) says.set(code, (says.get(code) ?? false) || saysRetryable);
  const wrong = rows
    .filter(({ code, retryable }) => (retryable === 'yes') !== says.get(code))
    .map(({ code }) => code);
  t.deepEqual(wrong, []);
  t.true(rows.filter(({ retryable }) => retryable === 'yes').length >= 8);
});

test('errors: the catalogue is right about exit codes', (t) => {
  for (const { code, retryable, exit } of rows) {
    if (exit === '–') continue;
    const error =
      problemCodes.includes(code as ProblemCode) && code.startsWith('TROUPE_TOPOLOGY_')
        ? onlyProblem(code as ProblemCode)
        : new TroupeError(code, 'x', { retryable: retryable === 'yes' });
    t.is(String(exitCodeOf(error)), exit, code);
  }
  t.is(exitCodeOf(onlyProblem('TROUPE_TOPOLOGY_RANGE')), 3);
  t.is(exitCodeOf(new Error('x')), 1);
});

test('errors: problems of a topology are all in the catalogue, without an exit code of their own', (t) => {
  for (const code of problemCodes) {
    const row = rows.find((each) => each.code === code);
    t.truthy(row, code);
    if (code.startsWith('TROUPE_TOPOLOGY_'))
      t.is(row?.exit, code === 'TROUPE_TOPOLOGY_DEVICES' ? '5' : '–', code);
  }
});

function onlyProblem(code: ProblemCode): TopologyError {
  return new TopologyError([
    { code, key: 'x', value: 1, rule: 'y', nearest: null, file: null, line: null, column: null, flag: null },
  ]);
}
