import test from 'ava';
import { TopologyError } from './errors.ts';
import { resolveTopology } from './resolve.ts';
import { diffTrajectory } from './trajectory.ts';

const withData = (data: object, model: object = {}): object => ({ model, data });
const lines = { kind: 'lines', from: 'en', to: 'de', source: 'a.en', target: 'a.de' };

/** Code, key and rule of each problem. */
function problemsOf(data: object, model: object = {}): readonly string[] {
  try {
    resolveTopology(withData(data, model));
    return [];
  } catch (error) {
    if (!(error instanceof TopologyError)) throw error;
    return error.problems.map(({ code, key, rule }) => `${code} ${key} ${rule}`);
  }
}

test('data.parallel: defaults are translation of all pairs; a noise alone is a list of one', (t) => {
  const { source } = resolveTopology(withData({ parallel: [{ kind: 'typescript' }] })).data;
  t.deepEqual(source, {
    kind: 'parallel',
    sources: [{ kind: 'typescript' }],
    tasks: [{ kind: 'translation', weight: 1, evaluate: true, temperature: 1 }],
  });
  const tasks = [
    { kind: 'translation', pairs: ['en-de'], weight: 3, temperature: 5 },
    { kind: 'denoising', noise: 'infill', languages: ['de'], evaluate: false },
    { kind: 'denoising', noise: ['shuffle', 'infill'] },
    { kind: 'language-model' },
  ];
  const all = resolveTopology(withData({ parallel: [lines], tasks }));
  t.deepEqual(all.data.source, {
    kind: 'parallel',
    sources: [lines],
    tasks: [
      { kind: 'translation', pairs: ['en-de'], weight: 3, evaluate: true, temperature: 5 },
      { kind: 'denoising', weight: 1, evaluate: false, temperature: 1, noise: ['infill'], languages: ['de'] },
      { kind: 'denoising', weight: 1, evaluate: true, temperature: 1, noise: ['shuffle', 'infill'] },
      { kind: 'language-model', weight: 1, evaluate: true, temperature: 1 },
    ],
  } as never);
  t.deepEqual(resolveTopology(all.file).data, all.data, 'resolving the filled file changes nothing');
});

test('data.parallel: what a kind of texts lacks, or cannot have, is named with its place', (t) => {
  const cases: readonly (readonly [object, string])[] = [
    [
      { kind: 'lines', from: 'en', to: 'de', source: 'a' },
      'TROUPE_TOPOLOGY_MISSING data.parallel.0.target lines needs from, to, source, target',
    ],
    [
      { kind: 'tsv', from: 'en', to: 'de' },
      'TROUPE_TOPOLOGY_MISSING data.parallel.0.file tsv needs from, to, file',
    ],
    [{ ...lines, folder: 'x' }, 'TROUPE_TOPOLOGY_CONFLICT data.parallel.0.folder only help has folder'],
    [
      { kind: 'typescript', file: 'x' },
      'TROUPE_TOPOLOGY_CONFLICT data.parallel.0.file only tsv, jsonl, po, text, jsonl-text has file',
    ],
    [
      { ...lines, to: 'en' },
      'TROUPE_TOPOLOGY_CONFLICT data.parallel.0.to must be another language than from, en',
    ],
  ];
  for (const [origin, problem] of cases) t.deepEqual(problemsOf({ parallel: [origin] }), [problem]);
});

test('data.tasks: keys of other kinds, spans beside other noise, and tasks without texts are refused', (t) => {
  const cases: readonly (readonly [object, string])[] = [
    [
      { kind: 'translation', noise: 'spans' },
      'TROUPE_TOPOLOGY_CONFLICT data.tasks.0.noise only denoising has noise',
    ],
    [
      { kind: 'denoising', pairs: ['en-de'] },
      'TROUPE_TOPOLOGY_CONFLICT data.tasks.0.pairs only translation has pairs',
    ],
    [
      { kind: 'translation', languages: ['de'] },
      'TROUPE_TOPOLOGY_CONFLICT data.tasks.0.languages only denoising and language-model has languages',
    ],
    [
      { kind: 'denoising', noise: ['spans', 'rotate'] },
      'TROUPE_TOPOLOGY_CONFLICT data.tasks.0.noise spans stands alone; infill, delete, rotate and shuffle go together',
    ],
  ];
  for (const [task, problem] of cases)
    t.deepEqual(problemsOf({ parallel: [lines], tasks: [task] }), [problem]);
  const encoder = { layers: 1, seqLen: 64 };
  t.deepEqual(problemsOf({ parallel: [lines], tasks: [{ kind: 'language-model' }] }, { encoder }), [
    'TROUPE_TOPOLOGY_CONFLICT data.tasks.0.kind a language model has nothing for an encoder to read; use denoising, or a model without encoder',
  ]);
  t.deepEqual(problemsOf({ parallel: [lines], tasks: [{ kind: 'denoising' }] }, { encoder }), []);
  t.deepEqual(problemsOf({ tasks: [{ kind: 'translation' }] }), [
    'TROUPE_TOPOLOGY_CONFLICT data.tasks only parallel has tasks: translation, denoising, language-model',
  ]);
  t.deepEqual(problemsOf({ parallel: [lines], text: 'x.txt' }), [
    'TROUPE_TOPOLOGY_CONFLICT data.parallel names text and parallel; a run reads one of them',
  ]);
  t.regex(
    problemsOf({ parallel: [lines], tasks: [{ kind: 'translate' }] })[0] ?? '',
    /CHOICE data\.tasks\.0\.kind/,
  );
  t.regex(
    problemsOf({ parallel: [lines], tasks: [{ kind: 'translation', temperature: 0.5 }] })[0] ?? '',
    /RANGE data\.tasks\.0\.temperature/,
  );
});

test('data.tasks: texts that nobody named are refused before anything is read', (t) => {
  const text = { kind: 'text', language: 'fr', file: 'x' };
  const of = (parallel: readonly object[], task: object): readonly string[] =>
    problemsOf({ parallel, tasks: [task] });
  t.deepEqual(of([lines], { kind: 'denoising', languages: ['de', 'xx'] }), [
    'TROUPE_TOPOLOGY_CONFLICT data.tasks.0.languages.1 no text of data.parallel is in xx; there is de, en',
  ]);
  t.deepEqual(of([lines, text], { kind: 'translation', pairs: ['en-fr'] }), [
    'TROUPE_TOPOLOGY_CONFLICT data.tasks.0.pairs.0 no text of data.parallel is in en-fr; there is de-en, en-de',
  ]);
  t.deepEqual(of([text], { kind: 'translation' }), [
    'TROUPE_TOPOLOGY_CONFLICT data.tasks.0.kind translation needs texts in two languages (from, to), and data.parallel names none',
  ]);
  t.deepEqual(of([lines, text], { kind: 'denoising', languages: ['fr', 'en'] }), []);
  t.deepEqual(of([lines], { kind: 'translation', pairs: ['de-en'] }), []);
  const unread = { kind: 'typescript' };
  t.deepEqual(of([lines, unread], { kind: 'denoising', languages: ['xx'] }), [], 'only reading tells');
});

test('trajectory: files of parallel texts may move, tasks may not change', (t) => {
  const of = (source: string, weight: number) =>
    resolveTopology(withData({ parallel: [{ ...lines, source }], tasks: [{ kind: 'translation', weight }] }));
  t.deepEqual(diffTrajectory(of('a', 1), of('b', 1)), []);
  t.deepEqual(
    diffTrajectory(of('a', 1), of('a', 2)).map(({ key }) => key),
    ['data.tasks.0.weight'],
  );
});
