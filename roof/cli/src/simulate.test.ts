import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { runCliHere } from './testing/cli-here.ts';
import { jsonLines } from './testing/cli-process.ts';
import { workplace } from './testing/workplace.ts';

const topology = `extends: tiny
data: { synthetic: zipf }
model: { vocab: 64, dModel: 16, seqLen: 8, ffn: { dFf: 24 } }
eval: { every: 0 }
`;

test('simulate: one seed gives one trace, and says so as JSON', async (t) => {
  const { folder: cwd } = workplace(t);
  await writeFile(join(cwd, 'small.yaml'), topology);
  const args = ['simulate', 'small.yaml', '--steps', '2', '--seed', '7', '--json'];
  const [first, second] = [await runCliHere(args, { cwd }), await runCliHere(args, { cwd })];
  t.is(first.code, 0, first.stderr);
  const [report] = jsonLines(first.stdout) as [{ readonly traceHash: string; readonly verdict: string }];
  t.like(report, { event: 'simulation', seed: 7, verdict: 'finished', step: 2, violation: null });
  t.is((jsonLines(second.stdout) as [typeof report])[0].traceHash, report.traceHash);
  const other = await runCliHere(['simulate', 'small.yaml', '--steps', '2', '--check', '--json'], { cwd });
  t.like(jsonLines(other.stdout)[0], { event: 'check', divergence: null });
});

test('simulate: a run that cannot go on writes its log, says how to play it again, and shrinks', async (t) => {
  const { folder: cwd } = workplace(t);
  await writeFile(join(cwd, 'small.yaml'), topology);
  const plan = `faults:
  - { kind: slow, target: worker/0, atStep: 1, forMs: 10 }
  - { kind: crash, target: agent/0, atStep: 2 }
  - { kind: clog, target: worker/1, atStep: 1, forMs: 10 }
`;
  await writeFile(join(cwd, 'plan.yaml'), plan);
  const args = ['simulate', 'small.yaml', '--steps', '3', '--faults', 'plan.yaml'];
  const { code, stdout, stderr } = await runCliHere(
    [...args, '--shrink', '--write-test', 'found.test.ts', '--trace', 'states.json'],
    { cwd },
  );
  t.is(code, 76, stderr);
  t.regex(stdout, /again: npx troupe simulate small\.yaml --seed 1 --steps 3 --faults plan\.yaml/);
  t.regex(stdout, /smallest: 1 fault, 1 step --set model\.layers=1/);
  t.regex(stdout, /\n {2}crash agent\/0 at step 1\n/);
  t.regex(stdout, /exit 76 \(a worker was lost\): lead\/0 was lost, after step 1\n$/);
  const log = await readFile(join(cwd, 'runs/simulate/tiny-seed1.log'), 'utf8');
  t.regex(log, /# \d.*crash agent\/0/);
  t.regex(log, /trainer#1 .* handled/);
  t.regex(await readFile(join(cwd, 'found.test.ts'), 'utf8'), /"kind": "crash"/);
  const { traceEvents } = JSON.parse(await readFile(join(cwd, 'states.json'), 'utf8')) as {
    readonly traceEvents: readonly { readonly ph: string }[];
  };
  t.true(traceEvents.filter(({ ph }) => ph === 'X').length > 50);
});

test('simulate: what is wrong with a plan of faults is told with its line and column', async (t) => {
  const { folder: cwd } = workplace(t);
  await writeFile(join(cwd, 'plan.yaml'), 'faults:\n  - { kind: crush, target: worker/0, atStep: 1 }\n');
  const { code, stderr } = await runCliHere(['simulate', 'tiny', '--faults', 'plan.yaml'], { cwd });
  t.is(code, 3);
  t.regex(stderr, /plan\.yaml:2:13 .*crash/);
  const missing = await runCliHere(['simulate', 'tiny', '--faults', 'swarms'], { cwd });
  t.is(missing.code, 2);
  t.regex(missing.stderr, /neither swarm, none nor a file/);
  t.false(existsSync(join(cwd, 'runs')));
});

test('simulate: seeds run in several processes, and are summed up', async (t) => {
  const { folder: cwd } = workplace(t);
  await writeFile(join(cwd, 'small.yaml'), topology);
  const { code, stdout, stderr } = await runCliHere(
    ['simulate', 'small.yaml', '--steps', '2', '--seeds', '0..3', '--jobs', '2', '--faults', 'swarm'],
    { cwd },
  );
  t.is(code, 0, stderr + stdout);
  t.regex(stdout, /^4 runs: \d finished .*, \d ended with a reason, 0 violated a rule$/m);
});

test('simulate: shows what moved an actor to where it stands', async (t) => {
  const { folder: cwd } = workplace(t);
  await writeFile(join(cwd, 'small.yaml'), topology);
  const args = ['--until', 'commit.decide@2', '--inspect', 'optimizer/dense/dp0', '--steps', '3'];
  const { code, stdout, stderr } = await runCliHere(['simulate', 'small.yaml', ...args], { cwd });
  t.is(code, 0, stderr);
  t.regex(stdout, /optimizer\/dense\/dp0#1: \w+, \d+ events in its mailbox/);
  t.regex(stdout.trimEnd(), /commit\.decide of \S+ \(step 2, .*handled: voted → \w+$/);
});

test('simulate: without arithmetic sixteen devices of four machines take a moment', async (t) => {
  const { folder: cwd } = workplace(t);
  const machines = [0, 1, 2, 3].map(
    (m) => `  - { host: h${m}, devices: [cuda:0, cuda:1, cuda:2, cuda:3], speed: h100 }`,
  );
  const text = `${topology}train: { batch: 16, grains: 16 }\nparallel: { dp: 16, ep: 4 }\nmachines:\n${machines.join('\n')}\n`;
  await writeFile(join(cwd, 'large.yaml'), text);
  const run = await runCliHere(['simulate', 'large.yaml', '--shapes-only', '--steps', '2', '--json'], {
    cwd,
  });
  t.is(run.code, 0, run.stderr);
  t.like(jsonLines(run.stdout)[0], { verdict: 'finished', step: 2 });
});

test('simulate: known models run without arithmetic; one with latent attention is refused by name', async (t) => {
  const { folder: cwd } = workplace(t);
  // Experts that choose do so among groups of 64 sequences.
  const simulated = (preset: string, batch = 4) => {
    const small = [`train.batch=${batch}`, `train.grains=${batch}`, 'train.microbatches=1'];
    const set = [...small, 'model.seqLen=64', 'parallel.pp=1', 'parallel.dp=2', 'parallel.ep=2'];
    return runCliHere(
      [
        'simulate',
        preset,
        '--shapes-only',
        '--steps',
        '1',
        '--json',
        ...set.flatMap((each) => ['--set', each]),
      ],
      { cwd },
    );
  };
  const known = [
    ['olmoe-1b-7b', 4],
    ['mixtral-8x7b', 4],
    ['deepseek-moe-16b', 4],
    ['granular-85m', 64],
  ] as const;
  for (const [preset, batch] of known) {
    const { code, stdout, stderr } = await simulated(preset, batch);
    t.is(code, 0, `${preset}: ${stderr}`);
    t.like(jsonLines(stdout)[0], { verdict: 'finished', step: 1 });
  }
  const refused = await simulated('deepseek-v3');
  t.is(refused.code, 3);
  t.regex(refused.stdout, /model\.mla: .*multi-head latent attention \(MLA\) is planned, and not built yet/u);
});

test('simulate: a device whose memory runs out ends the run with 5 and says what was wanted', async (t) => {
  const { folder: cwd } = workplace(t);
  const machines =
    'machines=[{host: localhost, devices: ["cpu:0", "cpu:1"], speed: {tflops: 1, memoryGB: 0.001}}]';
  const run = await runCliHere(['simulate', 'tiny', '--shapes-only', '--set', machines], { cwd });
  t.is(run.code, 5);
  t.regex(run.stderr, /the device of worker\/\d has 1000000 bytes, \d+ in use, and \d+ more are wanted/);
});

test('simulate: --real computes some replicas; a part of an expert group is refused', async (t) => {
  const { folder: cwd } = workplace(t);
  const run = await runCliHere(['simulate', 'tiny', '--steps', '1', '--real', '0'], { cwd });
  t.is(run.code, 2);
  t.regex(run.stderr, /--real: replicas 0, 1 share their experts \(ep 2\)/);
});

test('simulate: of a file that --faults names only the faults are taken', async (t) => {
  const { folder: cwd } = workplace(t);
  const faults = 'faults:\n  - { kind: slow, target: worker/0, atStep: 1, forMs: 10 }\n';
  await writeFile(join(cwd, 'small.yaml'), topology);
  await writeFile(join(cwd, 'base.yaml'), `${topology}train: { steps: 1, batch: 4 }\n${faults}`);
  const args = ['simulate', 'small.yaml', '--steps', '2', '--json'];
  const [own, other] = [
    await runCliHere(args, { cwd }),
    await runCliHere([...args, '--faults', 'base.yaml'], { cwd }),
  ].map(({ stdout }) => jsonLines(stdout)[0]);
  t.like(other, { verdict: 'finished', step: 2, loss: own?.['loss'] });
  t.like(other?.['faults'], [{ kind: 'slow' }]);
  const itself = await runCliHere([...args, '--faults', 'small.yaml'], { cwd });
  t.is(itself.code, 3);
  t.regex(itself.stdout, /small\.yaml:1:1 {2}faults {2}a plan of faults says `faults:`/);
});

test('simulate: says of each fault whose moment never came why it did not', async (t) => {
  const { folder: cwd } = workplace(t);
  await writeFile(join(cwd, 'small.yaml'), topology);
  const plan = `faults:
  - { kind: crash, target: worker/0, atStep: 9 }
  - { kind: crash, target: worker/0, atMs: 1e9 }
  - { kind: crash, target: worker/0, when: { actor: gate/L0/pp0/dp0, state: awaitingRow } }
  - { kind: crash, target: worker/0, when: { actor: trainer, state: committing, times: 7 } }
`;
  await writeFile(join(cwd, 'plan.yaml'), plan);
  const args = ['simulate', 'small.yaml', '--steps', '2', '--faults', 'plan.yaml'];
  const { code, stdout, stderr } = await runCliHere(args, { cwd });
  t.is(code, 0, stderr);
  t.regex(stdout, /^ {2}never: crash worker\/0 at step 9: the run ended after step 2$/m);
  t.regex(stdout, /^ {2}never: crash worker\/0 at 1000000000 ms: the run was over at \d+\.\d+ ms$/m);
  t.regex(
    stdout,
    /^ {2}never: .* is awaitingRow: no gate\/L0\/pp0\/dp0 was ever awaitingRow, .*; nearest: awaitingRows$/m,
  );
  t.regex(stdout, /^ {2}never: .* for the 7th time: it was so less than 7 times$/m);
  const json = jsonLines((await runCliHere([...args, '--json'], { cwd })).stdout)[0];
  t.like(json?.['missed'], { length: 4 });
});

test('simulate: a run that finished leaves nothing to shrink, and one without arithmetic has no loss', async (t) => {
  const { folder: cwd } = workplace(t);
  await writeFile(join(cwd, 'small.yaml'), topology);
  const args = ['simulate', 'small.yaml', '--steps', '1'];
  const shrink = await runCliHere([...args, '--shrink', '--write-test', 'x.test.ts'], { cwd });
  t.is(shrink.code, 0);
  t.regex(
    shrink.stdout,
    /--shrink: the run finished, so there is nothing to reduce, and x\.test\.ts is not written/,
  );
  t.false(existsSync(join(cwd, 'x.test.ts')));
  const shapes = await runCliHere([...args, '--shapes-only'], { cwd });
  t.regex(shapes.stdout, /seed 1: finished, step 1, no loss without arithmetic/);
  t.like(jsonLines((await runCliHere([...args, '--shapes-only', '--json'], { cwd })).stdout)[0], {
    loss: null,
  });
});

test('simulate: without arithmetic rows are even, or as another run recorded them', async (t) => {
  const { folder: cwd, path } = workplace(t);
  await writeFile(join(cwd, 'small.yaml'), topology);
  const recorded = await runCliHere(
    ['simulate', 'small.yaml', '--steps', '1', '--record-load', 'load.json'],
    {
      cwd,
    },
  );
  t.is(recorded.code, 0, recorded.stderr);
  const { counts } = JSON.parse(await readFile(path('load.json'), 'utf8')) as { counts: number[][] };
  t.deepEqual(
    counts.map((rows_E) => [rows_E.length, rows_E.reduce((sum, each) => sum + each, 0)]),
    counts.map(() => [4, 2 * 8 * 8]),
  );
  const shapes = ['simulate', 'small.yaml', '--shapes-only', '--steps', '1'];
  t.regex((await runCliHere(shapes, { cwd })).stdout, /^ {2}even load; [\d.]+ \w+ on the fullest device$/m);
  const loaded = await runCliHere([...shapes, '--load', 'load.json'], { cwd });
  t.regex(loaded.stdout, /^ {2}load of load\.json, all layers alike; /m);
  const other = await runCliHere([...shapes, '--load', 'load.json', '--set', 'model.moe.experts=8'], { cwd });
  t.is(other.code, 2);
  t.regex(other.stderr, /--load: load counts the rows of 4 experts, and the model has 8 in a layer/);
});
