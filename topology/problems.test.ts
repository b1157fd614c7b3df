import test from 'ava';
import { readFileSync } from 'node:fs';
import { composeTopology } from './compose.ts';
import { TopologyError } from './errors.ts';
import { formatProblem, problemCodes, type ProblemCode, type TopologyProblem } from './problem.ts';
import { resolveComposed } from './resolve.ts';
import { refuseUnbuilt } from './unbuilt.ts';
import type { ResolvedTopology } from './resolved.ts';

function resolveText(
  files: Readonly<Record<string, string>>,
  set: readonly string[] = [],
  entry = 'a.yaml',
): ResolvedTopology {
  const sources = {
    presetNames: ['quickstart'],
    presetPath: (name: string) => `${name}.yaml`,
    read: (path: string) => files[path] ?? null,
  };
  const composed = composeTopology(entry, sources, set);
  return resolveComposed(composed, { path: composed.files[0] ?? null, set });
}

function problemsOf(
  files: Readonly<Record<string, string>>,
  set: readonly string[] = [],
  entry = 'a.yaml',
): readonly TopologyProblem[] {
  try {
    return refuseUnbuilt(resolveText(files, set, entry));
  } catch (error) {
    if (error instanceof TopologyError) return error.problems;
    throw error;
  }
}

/** text, then code, key, line, column, nearest of its only problem. */
type Case = readonly [string, ProblemCode, string, number | null, number | null, string | number | null];

const cases: readonly Case[] = [
  ['{ {}: 1 }', 'TROUPE_TOPOLOGY_SYNTAX', '', 1, 3, null],
  ['model: [', 'TROUPE_TOPOLOGY_SYNTAX', '', 1, 9, null],
  ['model: { vocab: 300 }\nmodel: {}', 'TROUPE_TOPOLOGY_DUPLICATE_KEY', 'model', 2, 1, null],
  ['model: {}\n---\nmodel: {}', 'TROUPE_TOPOLOGY_SYNTAX', '', 2, 1, null],
  ['model:\n\tvocab: 300\n\tlayers: 2\n\tmoe:\n\t\ttopK: 1', 'TROUPE_TOPOLOGY_SYNTAX', '', 2, 1, null],
  [`a: ${'['.repeat(5000)}${']'.repeat(5000)}`, 'TROUPE_TOPOLOGY_SYNTAX', '', 1, 38, null],
  ['- '.repeat(5000), 'TROUPE_TOPOLOGY_SYNTAX', '', 1, 70, null],
  [`#${' '.repeat(4 * 2 ** 20)}`, 'TROUPE_TOPOLOGY_SYNTAX', '', 1, 1, null],
  [
    'x-small: &small { vocab: 300 }\nmodel:\n  <<: *small',
    'TROUPE_TOPOLOGY_UNKNOWN_KEY',
    'model.<<',
    3,
    3,
    null,
  ],
  ['model: { x-small: 1 }', 'TROUPE_TOPOLOGY_UNKNOWN_KEY', 'model.x-small', 1, 10, null],
  ['model: {}\n"": 1', 'TROUPE_TOPOLOGY_UNKNOWN_KEY', '', 2, 1, null],
  ['model: { normEps: .nan }', 'TROUPE_TOPOLOGY_TYPE', 'model.normEps', 1, 19, null],
  ['name: 123\nmodel: {}', 'TROUPE_TOPOLOGY_TYPE', 'name', 1, 7, null],
  [
    'model: {}\nparallel: { dp: 2 }\nwire: { port: 65531 }',
    'TROUPE_TOPOLOGY_RANGE',
    'wire.port',
    3,
    15,
    65530,
  ],
  [
    'model: {}\nparallel: { dp: 2, offload: optimizer }\nwire: { port: 65530 }',
    'TROUPE_TOPOLOGY_RANGE',
    'wire.port',
    3,
    15,
    65528,
  ],
  ['model: &m { rope: *m }', 'TROUPE_TOPOLOGY_SYNTAX', '', 1, 1, null],
  ['troupe: 2\nmodel: {}', 'TROUPE_TOPOLOGY_VERSION', 'troupe', 1, 9, 1],
  ['train:\n  steps: 3', 'TROUPE_TOPOLOGY_MISSING', 'model', 1, 1, null],
  ['model:\n  moe:\n    topk: 2', 'TROUPE_TOPOLOGY_UNKNOWN_KEY', 'model.moe.topk', 3, 5, 'topK'],
  ['model:\n  topK: 2', 'TROUPE_TOPOLOGY_UNKNOWN_KEY', 'model.topK', 2, 3, 'model.moe.topK'],
  ['model: {}\nmachine:\n  - {}', 'TROUPE_TOPOLOGY_UNKNOWN_KEY', 'machine', 2, 1, 'machines'],
  [
    'model: {}\nmachines:\n  - { host: localhost, device: [cpu:0], devices: [cpu:0] }',
    'TROUPE_TOPOLOGY_UNKNOWN_KEY',
    'machines.0.device',
    3,
    24,
    'devices',
  ],
  ['model: {}\nqwertyuiop: 1', 'TROUPE_TOPOLOGY_UNKNOWN_KEY', 'qwertyuiop', 2, 1, null],
  ['{ "model": { "__proto__": 1 } }', 'TROUPE_TOPOLOGY_UNKNOWN_KEY', 'model.__proto__', 1, 14, null],
  ['model:\n  layers: four', 'TROUPE_TOPOLOGY_TYPE', 'model.layers', 2, 11, null],
  ['model:\n  layers: "4"', 'TROUPE_TOPOLOGY_TYPE', 'model.layers', 2, 11, 4],
  ['model:\n  layers: 2.6', 'TROUPE_TOPOLOGY_TYPE', 'model.layers', 2, 11, 3],
  ['model: 3', 'TROUPE_TOPOLOGY_TYPE', 'model', 1, 8, null],
  ['[1, 2]', 'TROUPE_TOPOLOGY_TYPE', '', 1, 1, null],
  [
    'model: {}\ntrain: { optimizer: { betas: [0.9] } }',
    'TROUPE_TOPOLOGY_RANGE',
    'train.optimizer.betas',
    2,
    30,
    null,
  ],
  ['model: {}\ndata: { text: [] }', 'TROUPE_TOPOLOGY_RANGE', 'data.text', 2, 15, null],
  ['model:\n  norm: rsm', 'TROUPE_TOPOLOGY_CHOICE', 'model.norm', 2, 9, 'rms'],
  ['model: {}\nparallel: { zero: 4 }', 'TROUPE_TOPOLOGY_CHOICE', 'parallel.zero', 2, 19, 3],
  ['model: {}\neval: { batches: al }', 'TROUPE_TOPOLOGY_TYPE', 'eval.batches', 2, 18, 'all'],
  ['model: {}\neval: { batches: 0 }', 'TROUPE_TOPOLOGY_RANGE', 'eval.batches', 2, 18, 1],
  ['model:\n  layers: 0', 'TROUPE_TOPOLOGY_RANGE', 'model.layers', 2, 11, 1],
  ['model: {}\ntrain: { optimizer: { lr: 0 } }', 'TROUPE_TOPOLOGY_RANGE', 'train.optimizer.lr', 2, 27, null],
  [
    'model: {}\ntrain: { optimizer: { lr: .inf } }',
    'TROUPE_TOPOLOGY_TYPE',
    'train.optimizer.lr',
    2,
    27,
    null,
  ],
  [
    'model: {}\nmachines: [{ devices: [cpu0] }]',
    'TROUPE_TOPOLOGY_FORMAT',
    'machines.0.devices.0',
    2,
    24,
    null,
  ],
  ['name: ../up\nmodel: {}', 'TROUPE_TOPOLOGY_FORMAT', 'name', 1, 7, null],
  [
    'model: { moe: { experts: 7 } }\nparallel: { dp: 4, ep: 4 }',
    'TROUPE_TOPOLOGY_INDIVISIBLE',
    'parallel.ep',
    2,
    24,
    1,
  ],
  [
    'model: { moe: { experts: 6 } }\nparallel: { dp: 4, ep: 3 }',
    'TROUPE_TOPOLOGY_INDIVISIBLE',
    'parallel.ep',
    2,
    24,
    2,
  ],
  ['model:\n  dModel: 100\n  heads: 3', 'TROUPE_TOPOLOGY_INDIVISIBLE', 'model.heads', 3, 10, 2],
  ['model:\n  dModel: 100', 'TROUPE_TOPOLOGY_INDIVISIBLE', 'model.headDim', 2, 11, 26],
  ['model: { heads: 6, dModel: 96, kvHeads: 4 }', 'TROUPE_TOPOLOGY_INDIVISIBLE', 'model.kvHeads', 1, 41, 3],
  [
    'model: { ffn: { dFf: 100 }, moe: { granularity: 8 } }',
    'TROUPE_TOPOLOGY_INDIVISIBLE',
    'model.moe.granularity',
    1,
    49,
    10,
  ],
  ['model: {}\ntrain: { batch: 12, grains: 8 }', 'TROUPE_TOPOLOGY_INDIVISIBLE', 'train.grains', 2, 29, 6],
  [
    'model: {}\nparallel: { dp: 3 }\ntrain: { batch: 12, grains: 4 }',
    'TROUPE_TOPOLOGY_INDIVISIBLE',
    'train.grains',
    3,
    29,
    3,
  ],
  ['model: {}\nparallel: { dp: 3 }', 'TROUPE_TOPOLOGY_INDIVISIBLE', 'train.grains', 2, 17, null],
  ['model: {}\ntrain: { microbatches: 16 }', 'TROUPE_TOPOLOGY_INDIVISIBLE', 'train.grains', 2, 24, 16],
  [
    'model: { heads: 6, dModel: 96 }\nparallel: { tp: 4 }',
    'TROUPE_TOPOLOGY_INDIVISIBLE',
    'parallel.tp',
    2,
    17,
    3,
  ],
  [
    'model: { vocab: 2000 }\ndata: { tokenizer: { vocab: 4096 } }',
    'TROUPE_TOPOLOGY_RANGE',
    'data.tokenizer.vocab',
    2,
    29,
    2000,
  ],
  [
    'model: { vocab: 256 }\ndata: { tokenizer: { kind: bytes } }',
    'TROUPE_TOPOLOGY_RANGE',
    'model.vocab',
    1,
    17,
    257,
  ],
  [
    'model: {}\ndata: { tokenizer: { kind: bytes, vocab: 300 } }',
    'TROUPE_TOPOLOGY_RANGE',
    'data.tokenizer.vocab',
    2,
    42,
    257,
  ],
  ['model: { moe: { experts: 4, topK: 5 } }', 'TROUPE_TOPOLOGY_RANGE', 'model.moe.topK', 1, 35, 4],
  ['model: { layers: 2, moe: { every: 3 } }', 'TROUPE_TOPOLOGY_RANGE', 'model.moe.every', 1, 35, 2],
  ['model: { layers: 2 }\nparallel: { pp: 3 }', 'TROUPE_TOPOLOGY_RANGE', 'parallel.pp', 2, 17, 2],
  [
    'model: {}\ntrain: { optimizer: { decay: 0.1 } }',
    'TROUPE_TOPOLOGY_CONFLICT',
    'train.optimizer.decay',
    2,
    30,
    null,
  ],
  [
    'model: {}\ntrain: { optimizer: { schedule: wsd, warmup: 0.75, decay: 0.5 } }',
    'TROUPE_TOPOLOGY_RANGE',
    'train.optimizer.decay',
    2,
    59,
    0.25,
  ],
  [
    'model: {}\ntrain: { optimizer: { lrMin: 1 } }',
    'TROUPE_TOPOLOGY_RANGE',
    'train.optimizer.lrMin',
    2,
    30,
    0.003,
  ],
  ['model: {}\nparallel: { dp: 2, ep: 2 }', 'TROUPE_TOPOLOGY_CONFLICT', 'parallel.ep', 2, 24, 1],
  ['model: {}\nparallel: { dp: -1, pp: -1 }', 'TROUPE_TOPOLOGY_CONFLICT', 'parallel.pp', 2, 25, 1],
  ['model: {}\ndata: { source: wordnet, text: a.txt }', 'TROUPE_TOPOLOGY_CONFLICT', 'data.text', 2, 32, null],
  ['model: {}\ndata: { field: body }', 'TROUPE_TOPOLOGY_CONFLICT', 'data.field', 2, 16, null],
  [
    'model: { moe: { balance: { scope: global } } }\ntrain: { microbatches: 2 }',
    'TROUPE_TOPOLOGY_CONFLICT',
    'model.moe.balance.scope',
    1,
    35,
    'sequence',
  ],
  [
    'model: { moe: { balance: { scope: domain, domain: 4 } } }\ntrain: { batch: 8, microbatches: 4 }',
    'TROUPE_TOPOLOGY_INDIVISIBLE',
    'model.moe.balance.domain',
    1,
    51,
    2,
  ],
  [
    'model: { moe: { topK: 1, router: { sampling: second } } }',
    'TROUPE_TOPOLOGY_CONFLICT',
    'model.moe.router.sampling',
    1,
    46,
    'none',
  ],
  [
    'model: { moe: { topK: 1, router: { sampling: first, choice: skewed } } }',
    'TROUPE_TOPOLOGY_CONFLICT',
    'model.moe.router.sampling',
    1,
    46,
    'none',
  ],
  [
    'model: { moe: { capacity: { drop: last } } }',
    'TROUPE_TOPOLOGY_CHOICE',
    'model.moe.capacity.drop',
    1,
    35,
    null,
  ],
  [
    'model: {}\nmachines: [{ devices: [cpu:0, cpu:0/threads=2] }]',
    'TROUPE_TOPOLOGY_DUPLICATE_DEVICE',
    'machines.0.devices.1',
    2,
    31,
    null,
  ],
  [
    'model: {}\nparallel: { dp: 4 }\nmachines: [{ devices: [cpu:0, cpu:1] }]',
    'TROUPE_TOPOLOGY_DEVICES',
    'parallel.dp',
    2,
    17,
    2,
  ],
  [
    'model: {}\nparallel: { dp: 1 }\nmachines: [{ devices: [cpu:0, cpu:1] }]',
    'TROUPE_TOPOLOGY_IDLE_DEVICES',
    'parallel.dp',
    2,
    17,
    2,
  ],
  [
    'model: {}\nplacement:\n  expert/*: localhost/cpu:1',
    'TROUPE_TOPOLOGY_PLACEMENT',
    'placement.expert/*',
    3,
    13,
    'localhost/cpu:0',
  ],
  [
    'model: {}\nplacement:\n  gate/*: localhost/cpu:0',
    'TROUPE_TOPOLOGY_PLACEMENT',
    'placement.gate/*',
    3,
    11,
    'stage/*',
  ],
  [
    'model: {}\nplacement:\n  expert/*: localhost/cpu:0',
    'TROUPE_TOPOLOGY_PLACEMENT',
    'placement.expert/*',
    3,
    3,
    null,
  ],
  [
    'model: {}\nfaults:\n  - { kind: crush, target: worker/0, atStep: 1 }',
    'TROUPE_TOPOLOGY_CHOICE',
    'faults.0.kind',
    3,
    13,
    'crash',
  ],
  [
    'model: {}\nfaults:\n  - { kind: crash, target: worker/7, atStep: 1 }',
    'TROUPE_TOPOLOGY_RANGE',
    'faults.0.target',
    3,
    28,
    'worker/0',
  ],
  [
    'model: {}\nfaults:\n  - { kind: hang, target: expert/L0/ep0/edp0, atStep: 1 }',
    'TROUPE_TOPOLOGY_FORMAT',
    'faults.0.target',
    3,
    27,
    null,
  ],
  [
    'model: {}\nfaults:\n  - { kind: crash, target: expert/L99/ep0/edp0, atMs: 1 }',
    'TROUPE_TOPOLOGY_RANGE',
    'faults.0.target',
    3,
    28,
    null,
  ],
  [
    'model: {}\nfaults:\n  - { kind: crash, target: worker/0, atMs: 1, when: { actor: stage/*, state: waiting } }',
    'TROUPE_TOPOLOGY_CONFLICT',
    'faults.0.when',
    3,
    53,
    null,
  ],
  [
    'model: {}\nfaults:\n  - { kind: nan, target: worker/0, atStep: 1, forMs: 3 }',
    'TROUPE_TOPOLOGY_CONFLICT',
    'faults.0.forMs',
    3,
    54,
    null,
  ],
  ['model: {}\nlinks: { inside: { loss: 2 } }', 'TROUPE_TOPOLOGY_RANGE', 'links.inside.loss', 2, 26, 0.5],
  ['extends: b.yaml\nmodel: {}', 'TROUPE_TOPOLOGY_EXTENDS', 'extends', 1, 10, null],
  ['extends: ./quickstrat\nmodel: {}', 'TROUPE_TOPOLOGY_EXTENDS', 'extends', 1, 10, 'quickstart'],
  ['model: {}\nextends: a.yaml', 'TROUPE_TOPOLOGY_EXTENDS', 'extends', 2, 10, null],
  ['model: {}\nmetrics: [jsonl, tensorbord]', 'TROUPE_TOPOLOGY_CHOICE', 'metrics.1', 2, 18, 'tensorboard'],
  ['model: {}\nmetrics: csv', 'TROUPE_TOPOLOGY_TYPE', 'metrics', 2, 10, null],
  ['model: {}\nmetrics: []', 'TROUPE_TOPOLOGY_RANGE', 'metrics', 2, 10, null],
  ['model: {}\nwire: { security: curve }', 'TROUPE_NOT_BUILT', 'wire.security', 2, 19, 'auto'],
];

for (const [text, code, key, line, column, nearest] of cases) {
  test(`${code}: ${JSON.stringify(text).slice(0, 200)}`, (t) => {
    const problems = problemsOf({ 'a.yaml': text });
    t.like(problems[0], { code, key, line, column, nearest, file: 'a.yaml', flag: null });
    t.is(problems.length, 1, JSON.stringify(problems));
  });
}

test('TROUPE_TOPOLOGY_NOT_FOUND: names the nearest preset', (t) => {
  t.like(problemsOf({}, [], 'quickstrat')[0], {
    code: 'TROUPE_TOPOLOGY_NOT_FOUND',
    value: 'quickstrat',
    nearest: 'quickstart',
    file: null,
  });
});

test('TROUPE_TOPOLOGY_OVERRIDE: names the flag', (t) => {
  for (const [flag, key] of [
    ['model', ''],
    ['model.vocab=[', 'model.vocab'],
    ['=3', ''],
  ] as const) {
    const [problem, ...rest] = problemsOf({ 'a.yaml': 'model: {}' }, [flag]);
    t.like(problem, { code: 'TROUPE_TOPOLOGY_OVERRIDE', flag: `--set ${flag}`, key, line: null });
    t.is(rest.length, 0);
  }
});

const sentences: readonly (readonly [string, RegExp])[] = [
  ['model:\n\tvocab: 300', /a tab indents this line, .* put spaces in the place of tabs/],
  ['model: {}\n---\nmodel: {}', /a second document begins here, .* remove the `---`/],
  ['x-a: &a { vocab: 300 }\nmodel:\n  <<: *a', /merge keys are not read; .* name it in `extends`/],
  ['"": 1\nmodel: {}', /a.yaml:1:1 {2}"": 1 {2}no such key in the top level/],
  ['model: { normEps: .nan }', /model.normEps: NaN {2}must be a number > 0 .*; .nan and .inf are not taken/],
  [
    'model: {}\ntrain: { steps: "16" }',
    /train.steps: 16 .*; in quotes it is a text: leave them out; nearest: 16/,
  ],
  ['model: {}\nname: 123', /name: 123 .*; write it in quotes: "123"/],
  ['model: {}\ndata: { text: 1984 }', /data.text: 1984 .*; write it in quotes: "1984"/],
  [
    'model: {}\nrecovery: { buddies: "yes" }',
    /recovery.buddies: yes {2}must be true or false; write true, without quotes/,
  ],
  ['a: '.padEnd(5000, '['), /more than 32 maps and lists inside each other; a topology has six/],
];

test('problems: what people write out of habit is answered with what to write instead', (t) => {
  for (const [text, sentence] of sentences) {
    const [problem, ...rest] = problemsOf({ 'a.yaml': text });
    t.truthy(problem, text);
    t.regex(problem === undefined ? '' : formatProblem(problem), sentence);
    t.deepEqual(rest, [], text);
  }
});

test('problems: keys that begin with x- are a place for anchors', (t) => {
  const text = 'x-small: &small { vocab: 300, layers: 2 }\nmodel: *small';
  t.is(resolveText({ 'a.yaml': text }).model.layers, 2);
});

test('formatProblem: shows only the beginning of what is long or deep', (t) => {
  let deep: unknown = 1;
  for (let level = 0; level < 20_000; level++) deep = [deep];
  const ring: unknown[] = [];
  ring.push(ring);
  for (const value of [deep, ring, 'x'.repeat(1e6), Array.from({ length: 1e5 }, () => 'y'.repeat(99)), 1n]) {
    const problem = {
      code: 'TROUPE_TOPOLOGY_TYPE',
      key: 'k'.repeat(9999),
      value,
      rule: 'r',
      nearest: null,
    } as const;
    const text = formatProblem({ file: null, line: null, column: null, flag: null, ...problem });
    t.true(text.length < 250, text.slice(0, 300));
  }
});

test('TopologyError: names a hundred problems and counts the rest', (t) => {
  const text = `model: {}\n${Array.from({ length: 300 }, (_, index) => `key${index}: 1`).join('\n')}`;
  const error = t.throws(() => resolveText({ 'a.yaml': text }), { instanceOf: TopologyError });
  t.is(error.problems.length, 300);
  t.regex(error.message, /^the topology has 300 problems:\n/);
  t.true(error.message.endsWith('\n  … and 200 more'));
  t.is(error.message.split('\n').length, 102);
});

test('problems: every code of the catalogue arises in these tests', (t) => {
  const seen = new Set<string>([
    ...cases.map(([, code]) => code),
    'TROUPE_TOPOLOGY_NOT_FOUND',
    'TROUPE_TOPOLOGY_OVERRIDE',
  ]);
  t.deepEqual([...seen].sort(), [...problemCodes].sort());
});

test('TopologyError: shows all problems at once in the order of the file', (t) => {
  const text = [
    'model:',
    '  dModel: 100',
    '  heads: 3',
    '  vocabulary: 300',
    '  moe: { experts: 4, topK: 5 }',
    'train: { batch: 12, grains: 8, steps: 0 }',
    'machines: [{ devices: [cpu:0, cpu:0] }]',
  ].join('\n');
  const error = t.throws(() => resolveText({ 'a.yaml': text }, ['parallel.dp=2', 'parallel.ep=3']), {
    instanceOf: TopologyError,
  });
  t.deepEqual(
    error.problems.map(({ code, key, line }) => `${line} ${key} ${code.replace('TROUPE_TOPOLOGY_', '')}`),
    [
      'null parallel.ep INDIVISIBLE',
      'null parallel.ep INDIVISIBLE',
      '3 model.heads INDIVISIBLE',
      '4 model.vocabulary UNKNOWN_KEY',
      '5 model.moe.topK RANGE',
      '6 train.grains INDIVISIBLE',
      '6 train.steps RANGE',
      '7 machines.0.devices.1 DUPLICATE_DEVICE',
    ],
  );
  t.is(error.code, 'TROUPE_TOPOLOGY_INVALID');
  t.is(error.exitCode, 3);
  t.is(error.message.split('\n').length, 9);
  t.true(error.message.includes('a.yaml:4:3  model.vocabulary: 300  no such key in model'), error.message);
  t.true(
    error.message.includes(
      '--set parallel.ep=3  parallel.ep: 3  experts 4 is not divisible by ep 3; or choose experts 3 or 6; nearest: 2',
    ),
    error.message,
  );
});

test('problems: a rule between keys shows the value of the key it names', (t) => {
  const [problem] = problemsOf({ 'a.yaml': 'model:\n  dModel: 100\n  heads: 3' });
  t.like(problem, { key: 'model.heads', value: 3 });
});

test('TopologyError: a wrong key does not drag rules about it along', (t) => {
  const problems = problemsOf({
    'a.yaml':
      'model: { heads: 0, dModel: 100, moe: {} }\nparallel: { dp: x, ep: 3 }\nmachines: [{ devices: [cpu:0, wrong] }]',
  });
  t.deepEqual(
    problems.map(({ key }) => key),
    ['model.heads', 'parallel.dp', 'machines.0.devices.1'],
  );
});

test('TopologyError: exit code 5 only when nothing but devices is lacking', (t) => {
  const exitCode = (text: string): number =>
    t.throws(() => resolveText({ 'a.yaml': text }), { instanceOf: TopologyError }).exitCode;
  t.is(exitCode('model: {}\nparallel: { dp: 4 }\nmachines: [{ devices: [cpu:0] }]'), 5);
  t.is(exitCode('model: { layers: 0 }\nparallel: { dp: 4 }\nmachines: [{ devices: [cpu:0] }]'), 3);
});

test('problems: a JSON file has lines and columns too', (t) => {
  const text = '{\n\t"model": {\n\t\t"layers": 0\n\t}\n}';
  t.like(problemsOf({ 'a.json': text }, [], 'a.json')[0], {
    file: 'a.json',
    line: 3,
    column: 13,
    key: 'model.layers',
  });
});

test('problems: a value of an extended file is blamed on that file, an override on its flag', (t) => {
  const files = {
    'a.yaml': 'extends: base/b.yaml\nmodel: { layers: 3 }',
    'base/b.yaml': 'model:\n  heads: 0\n  layers: 0',
  };
  const [first, ...rest] = problemsOf(files);
  t.like(first, { file: 'base/b.yaml', line: 2, column: 10, key: 'model.heads' });
  t.is(rest.length, 0);
  t.like(problemsOf(files, ['model.heads=-1'])[0], {
    file: null,
    flag: '--set model.heads=-1',
    key: 'model.heads',
    value: -1,
  });
});

test('problems: a default that does not fit blames the key it follows from', (t) => {
  t.like(problemsOf({ 'a.yaml': 'model:\n  vocab: 100' })[0], {
    code: 'TROUPE_TOPOLOGY_RANGE',
    key: 'model.vocab',
    line: 2,
    column: 10,
  });
});

test('problems: an unpassable chain of extends names the whole circle', (t) => {
  const problems = problemsOf({ 'a.yaml': 'extends: b.yaml', 'b.yaml': 'extends: a.yaml' });
  t.like(problems[0], { code: 'TROUPE_TOPOLOGY_EXTENDS', file: 'b.yaml', line: 1, column: 10 });
  t.true(problems[0]?.rule.includes('a.yaml → b.yaml → a.yaml'));
});

test('README: lists every code, and no other', (t) => {
  const text = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
  const listed = [...text.matchAll(/^\| `(TROUPE_\w+)`/gm)].map((match) => match[1] ?? '');
  t.deepEqual(listed.sort(), [...problemCodes].sort());
});
