import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { Experiments, type ExperimentOptions } from './experiments.ts';
import { CELL, experiments, inputsOf, taskHash, tasksOf, updatesOf } from './experiment-tasks.ts';

const settings = { steps: 100, experts: 16, seeds: [1, 2], sentences: 5 };

test('experiments: a merged model has as many updates behind it as the whole one, and each task stands behind its inputs', (t) => {
  const tasks = tasksOf(settings, experiments);
  const names = tasks.map(({ name }) => name);
  t.is(new Set(names).size, names.length);
  for (const [index, task] of tasks.entries())
    for (const input of inputsOf(task))
      t.true(input.startsWith(CELL) || names.slice(0, index).includes(input), `${task.name} reads ${input}`);
  const updates = (name: string): number => tasks.filter((task) => task.name === name).map(updatesOf)[0] ?? 0;
  for (const child of ['a', 'b'])
    t.is(updates('merge/s1/parent') + updates(`merge/s1/${child}`) + updates('merge/s1/both-on'), 100);
  t.deepEqual(
    tasks.flatMap(({ make }) => (make?.kind === 'prune' && make.seed === 2 ? [[make.keep, make.by]] : [])),
    [
      [8, 'utilisation'],
      [8, 'random'],
      [4, 'utilisation'],
      [4, 'random'],
    ],
  );
  t.throws(() => tasksOf({ ...settings, experts: 6 }, experiments), { message: /has 6 experts; a quarter/ });
});

test('experiments: a hash knows the base and everything that a model comes from', (t) => {
  const hashes = (steps: number, base: string): ReadonlyMap<string, string> => {
    const tasks = tasksOf({ ...settings, steps }, ['merge']);
    return new Map(tasks.map((task) => [task.name, taskHash(task, tasks, base)]));
  };
  const first = hashes(100, 'model: {}');
  t.deepEqual(hashes(100, 'model: {}'), first);
  t.is(new Set(first.values()).size, first.size);
  for (const other of [hashes(100, 'model: { vocab: 9 }'), hashes(200, 'model: {}')])
    for (const [name, hash] of first) t.not(other.get(name), hash, name);
});

/** A command that makes folders as `troupe` does, and fails or breaks off where it is told to. */
function place(t: ExecutionContext) {
  const folder = mkdtempSync(join(tmpdir(), 'troupe-experiments-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const calls: string[] = [];
  const checkpoint = (run: string, step: number): void => {
    const path = join(run, `step-${String(step).padStart(6, '0')}`);
    mkdirSync(path, { recursive: true });
    writeFileSync(join(path, 'manifest.json'), '{}');
  };
  let breaksAt = '';
  const run: ExperimentOptions['run'] = (args) => {
    const [verb = '', ...rest] = args.map((each) => each.replace(`${folder}/`, ''));
    calls.push([verb, ...rest].join(' '));
    const out = ['--out', '--run-dir'].map((flag) => args[args.indexOf(flag) + 1] ?? '');
    if (verb === 'merge' || verb === 'prune') {
      if (existsSync(out[0] ?? '')) return Promise.reject(new Error('it exists'));
      checkpoint(out[0] ?? '', 0);
    }
    const steps = Number(
      /train\.steps=(\d+)/u.exec(args.join(' '))?.[1] ?? (args.join(' ').includes('/prune/') ? 10 : 33),
    );
    const isBroken = breaksAt !== '' && rest.join(' ').includes(breaksAt);
    const run = verb === 'resume' ? (args[1] ?? '') : (out[1] ?? '');
    if (verb === 'launch' || verb === 'resume') checkpoint(run, isBroken ? steps - 1 : steps);
    if (isBroken) return Promise.reject(new Error('killed'));
    return Promise.resolve({ event: 'eval', loss: 2.5, parts: [] });
  };
  writeFileSync(join(folder, 'base.yaml'), 'model: {}\n');
  const options = (only: ExperimentOptions['only']): ExperimentOptions => ({
    base: join(folder, 'base.yaml'),
    out: join(folder, 'rows.jsonl'),
    cells: join(folder, 'cells'),
    settings: { ...settings, seeds: [1] },
    only,
    run,
    report: () => {},
  });
  return {
    folder,
    calls,
    checkpoint: (name: string, step: number) => checkpoint(join(folder, name), step),
    breakAt: (where: string) => void (breaksAt = where),
    open: (...only: ExperimentOptions['only']) => new Experiments(options(only)),
    rows: () =>
      readFileSync(join(folder, 'rows.jsonl'), 'utf8')
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as { readonly name: string; readonly heldOutLoss: number }),
  };
}

test('experiments: what broke off goes on, what is done is not done again', async (t) => {
  const { open, rows, calls, breakAt, folder } = place(t);
  breakAt('--run-dir rows.jsonl.runs/merge/s1/a');
  // The folder of a merge that was killed before it wrote anything.
  mkdirSync(join(folder, 'rows.jsonl.runs/merge/s1/both'), { recursive: true });
  await t.throwsAsync(open('merge').run(), { message: 'killed' });
  breakAt('');
  t.deepEqual(
    calls.map((call) => call.split(' ')[0]),
    ['launch', 'eval', 'launch'],
  );
  const before = calls.length;
  await open('merge').run();
  t.deepEqual(
    rows().map(({ name, heldOutLoss }) => [name, heldOutLoss]),
    ['parent', 'a', 'b', 'both', 'both-on'].map((part) => [`merge/s1/${part}`, 2.5]),
  );
  t.deepEqual(
    calls.filter((call) => call.startsWith('merge')),
    [
      'merge rows.jsonl.runs/merge/s1/a rows.jsonl.runs/merge/s1/b --out rows.jsonl.runs/merge/s1/both --rescale 2',
    ],
  );
  t.is(calls[before], 'resume rows.jsonl.runs/merge/s1/a');
  t.false(calls.slice(before).some((call) => call.includes('--run-dir rows.jsonl.runs/merge/s1/parent')));
  const after = calls.length;
  const again = open('merge');
  t.true(again.tasks.every((task) => again.stateOf(task) === 'done'));
  await again.run();
  t.is(calls.length, after);
});

test('experiments: prunes a cell, trains it on, and says which cell is missing', async (t) => {
  const { open, rows, calls, checkpoint, folder } = place(t);
  await t.throwsAsync(open('prune').run(), {
    message: /cells\/moe-s1 holds no checkpoint; train the cells first: npx troupe sweep/,
  });
  checkpoint('cells/moe-s1', 60);
  await t.throwsAsync(open('prune').run(), { message: /cells\/moe-s1 is at step 60 of 100/ });
  checkpoint('cells/moe-s1', 100);
  // A training that was killed behind its third update.
  checkpoint('rows.jsonl.runs/prune/s1/random-8-on', 3);
  await open('prune').run();
  t.is(rows().length, 10);
  t.true(calls.includes('resume rows.jsonl.runs/prune/s1/random-8-on'));
  t.true(
    calls.includes(
      'prune cells/moe-s1 --keep 4 --by random --seed 1 --out rows.jsonl.runs/prune/s1/random-4',
    ),
  );
  writeFileSync(join(folder, 'rows.jsonl'), '{"name": "pru');
  t.throws(() => open('prune'), { message: /rows\.jsonl:1 is no row of an experiment/ });
});
