import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { TopologyError } from '../errors.ts';
import { loadSweep } from './load-sweep.ts';

const base = `base:
  model: { vocab: 257, norm: layer, layers: 2, dModel: 64, seqLen: 32, moe: { norm: true, router: { groupSequences: 8 } } }
  data: { tokenizer: { kind: bytes } }
  train: { batch: 8, grains: 4, microbatches: 1, optimizer: { betas: [0.9, 0.999] } }
`;

function load(t: ExecutionContext, text: string) {
  const folder = mkdtempSync(join(tmpdir(), 'troupe-sweep-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, 'sweep.yaml'), text);
  return loadSweep(join(folder, 'sweep.yaml'), { cores: 4 });
}

const names = (t: ExecutionContext, text: string): readonly string[] =>
  load(t, text).cells.map(({ name }) => name);

test('sweep: cells are the product of the axes, the first one slowest; a dense model has no router', (t) => {
  const text = `${base}grid:
  router: [token-choice, expert-choice]
  granularity: [dense, 1, 4]
  expansion: [8]
  tokens: [1M]
`;
  t.deepEqual(names(t, text), ['dense-1M', 'tc-g1-e8-1M', 'tc-g4-e8-1M', 'ec-g1-e8-1M', 'ec-g4-e8-1M']);
  const only = 'only:\n  - { router: expert-choice, granularity: [1, dense] }\n';
  const also = 'also:\n  - { granularity: 2, seed: [2, 3] }\n';
  t.deepEqual(names(t, `${text}${only}${also}`), [
    'dense-1M',
    'ec-g1-e8-1M',
    'tc-g2-e8-1M-s2',
    'tc-g2-e8-1M-s3',
  ]);
});

test('sweep: a cell is the base with the values of its axes, as many steps as its tokens need', (t) => {
  const { cells, jobs } = load(
    t,
    `${base}jobs: 2
grid:
  size: [{ dModel: 128, layers: 3 }]
  granularity: [4]
  expansion: [8]
  tokens: [10k]
  train.optimizer.lr: [1e-3]
  seed: [7]
`,
  );
  t.is(jobs, 2);
  const [cell] = cells;
  t.is(cell?.name, 'd128-l3-g4-e8-10k-train.optimizer.lr-0.001-s7');
  const { model, train, machines, eval: evaluation, checkpoint } = cell?.topology ?? t.fail();
  t.like(model, { dModel: 128, layers: 3, norm: { kind: 'layer' } });
  t.like(model.moe, { experts: 32, topK: 4, dExpert: 128, norm: true });
  // 10,000 tokens are 39.06 steps of 8 · 32.
  t.like(train, { steps: 39, seed: 7, optimizer: { lr: 1e-3, betas: [0.9, 0.999] } });
  t.is(evaluation.every, 39);
  t.is(checkpoint.every, 4, 'ten of them');
  t.is(machines[0]?.devices[0]?.threads, 2, 'half of four cores for each of two jobs');
  t.like(cell, { granularity: 4, expansion: 8 });
});

test('sweep: variants are models with a name; patterns name them, and each has its own hash', (t) => {
  const text = `${base}grid:
  variant:
    - { name: moe, set: { model.moe: { experts: 8, topK: 1 }, train.grains: 8 } }
    - { name: in-order, set: { model.moe: { experts: 8, topK: 1, capacity: { train: 1.0, drop: position } } } }
    - { name: dense, set: { model.moe: null } }
  seed: [1, 2]
  steps: [7]
`;
  t.deepEqual(
    names(
      t,
      `${text}only:\n  - { variant: [moe, dense], seed: 2 }\nalso:\n  - { variant: dense, seed: 3 }\n`,
    ),
    ['moe-n7-s2', 'dense-n7-s2', 'dense-n7-s3'],
  );
  const { cells } = load(t, text);
  t.deepEqual(cells[0]?.axes, { variant: 'moe', seed: 1, steps: 7 });
  t.like(cells[0]?.topology.model.moe, { experts: 8, topK: 1, norm: true });
  t.like(cells[0]?.topology.train, { steps: 7, grains: 8, seed: 1 });
  t.like(cells[2]?.topology.model.moe?.capacity, { train: 1, drop: 'position' });
  t.is(cells[4]?.topology.model.moe, null);
  t.is(new Set(cells.map(({ decided }) => JSON.stringify(decided))).size, 6);
});

test('sweep: evaluations are those of the base, one at the end where it says none', (t) => {
  const grid = 'grid: { steps: [40] }\n';
  t.is(load(t, `${base}${grid}`).cells[0]?.topology.eval.every, 40);
  t.is(load(t, `${base}  eval: { every: 10 }\n${grid}`).cells[0]?.topology.eval.every, 10);
});

test('sweep: what decides a cell is what is written of it, and no layout', (t) => {
  const grid = 'grid: { granularity: [1], expansion: [8] }\n';
  const decided = (text: string) => load(t, `${text}${grid}`).cells[0]?.decided;
  const first = decided(base);
  t.deepEqual(
    decided(base.replace('train: {', 'checkpoint: { every: 3 }\n  train: { recompute: layer,')),
    first,
  );
  t.deepEqual(decided(base.replace('microbatches: 1', 'microbatches: 2')), first);
  t.notDeepEqual(decided(base.replace('batch: 8', 'batch: 16')), first);
  t.notDeepEqual(decided(base.replace('seqLen: 32', 'seqLen: 64')), first);
});

test('sweep: problems have their place in the sweep file, those of a cell among them', (t) => {
  const error = (text: string) => t.throws(() => load(t, text), { instanceOf: TopologyError })?.message ?? '';
  t.regex(
    error(`${base}grid:\n  granularity: [1, 3, 5]\n  expansion: [8]\n`),
    /^the sweep has 2 of 3 cells that cannot be trained; it has 2 problems:\n.*sweep\.yaml:6:20 .*granularity 3 \(cell g3-e8\); nearest: [24]/,
  );
  t.regex(
    error(`${base}grid: { granularity: [0.5], expansion: [8] }\n`),
    /5:23 +granularity: 0\.5 +must be a whole number ≥ 1, or dense/,
  );
  t.regex(
    error(`${base}grid: { model.dModle: [3] }\n`),
    /model\.dModle: 3 +no such key in model.*nearest: dModel/,
  );
  t.regex(
    error(`${base}grid: { dmodel: [3] }\n`),
    /5:9 +grid\.dmodel +no such axis; there are dModel, layers/,
  );
  t.regex(
    error(`${base}grid: { dModel: 3 }\n`),
    /grid\.dModel: 3 +must be a map of axes, each with the list of its values/,
  );
  t.regex(
    error('base: quickstart\ngrid: { granularity: [1], expansion: [8], seed: [1] }\nonly: [{ sed: 1 }]\n'),
    /only\.0\.sed +no such axis/,
  );
  t.regex(error('grid: {}\n'), /base +must be a topology/);
  t.regex(
    error(`${base}grid: { variant: [{ name: a, set: { steps: 3 } }] }\n`),
    /grid\.variant\.0: .* must be a name and dotted keys of a topology/,
  );
  t.regex(
    error(`${base}grid: { variant: [{ name: a }, { name: a, set: { train.seed: 2 } }] }\n`),
    /grid\.variant\.1: .* is the second variant called a/,
  );
  t.regex(
    error(`${base}grid: { variant: [{ name: a }] }\nonly: [{ variant: b }]\n`),
    /only\.0\.variant: b +must be a variant of the grid: a/,
  );
  t.regex(
    error(`${base}grid: { variant: [{ name: a, set: { model.dModle: 3 } }] }\n`),
    /sweep\.yaml:5:\d+ .*no such key in model.*\(cell a\); nearest: dModel/,
  );
  t.regex(
    error(`${base}grid: { tokens: [1k], steps: [3] }\n`),
    /steps: 3 +follow from the tokens; name one of the two axes/,
  );
  const many = Array.from({ length: 101 }, (_, index) => index).join(', ');
  t.regex(
    error(`${base}grid: { data.text: ['a b', 'a/b'] }\n`),
    /grid +has two cells that are both called data\.text-a_b; write their values/,
  );
  t.regex(
    error(`${base}grid: { seed: [${many}], model.vocab: [${many}] }\n`),
    /has 10201 cells; a sweep has at most 10000/,
  );
});

test('sweep: the experiment of examples/granularity is one, at most one epoch long', (t) => {
  const file = fileURLToPath(new URL('../../../examples/granularity/sweep.yaml', import.meta.url));
  const { cells, epochs } = loadSweep(file, { cores: 2 });
  t.is(epochs, 'refuse');
  t.is(cells.filter(({ topology }) => topology.model.moe === null).length, 4);
  for (const [granularity, number] of [
    [1, 4 + 4 + 4],
    [2, 4],
    [4, 8],
    [8, 4],
  ] as const)
    t.is(cells.filter((cell) => cell.expansion === 8 && cell.granularity === granularity).length, number);
  t.true(cells.every(({ topology: { train, model } }) => train.steps * train.batch * model.seqLen < 2.01e6));
});

test('sweep: the one of examples/multilingual varies one thing at a time', (t) => {
  const file = fileURLToPath(new URL('../../../examples/multilingual/sweep.yaml', import.meta.url));
  const { cells, keepCheckpoints } = loadSweep(file, { cores: 2 });
  t.true(keepCheckpoints);
  const variants = ['moe', 'dense', 'in-order', 'translation-only'];
  t.deepEqual(
    cells.map(({ name }) => name),
    variants.flatMap((name) => [`${name}-s1`, `${name}-s2`]),
  );
  const [moe, dense, inOrder, alone] = variants.map(
    (variant) => cells.find(({ name }) => name === `${variant}-s1`)?.topology ?? t.fail(),
  );
  t.like(moe?.model.moe, { experts: 16, topK: 1, dExpert: moe?.model.ffn.dFf, every: 2 });
  t.is(moe?.data.source.kind === 'parallel' && moe.data.source.sources.length, 8);
  t.deepEqual({ ...dense?.model, moe: moe?.model.moe }, moe?.model);
  t.deepEqual([dense?.data, dense?.train], [moe?.data, moe?.train]);
  t.is(inOrder?.model.moe?.capacity?.drop, 'position');
  t.deepEqual([alone?.model, alone?.train], [moe?.model, moe?.train]);
});
