import { existsSync, readdirSync, readFileSync } from 'node:fs';
import test from 'ava';
import { alive, CliProcess, jsonLines, runCli } from './testing/cli-process.ts';
import { workplace } from './testing/workplace.ts';

/** Programs read these: a name that is here stays, new ones may be added behind. */
const frozenFields: Readonly<Record<string, readonly string[]>> = {
  start: ['event', 'device', 'reason', 'processes', 'paramsTotal', 'paramsActive', 'folder'],
  step: [
    'event',
    'step',
    'loss',
    'auxLoss',
    'gradNorm',
    'learningRate',
    'tokens',
    'tokensPerSecond',
    'mfu',
    'maxExpertLoad',
    'hottest',
    'kernelShare',
    'attempts',
    'skipped',
    'maxVio',
    'dropRate',
  ],
  eval: ['event', 'step', 'loss', 'tokens'],
  checkpoint: ['event', 'step', 'path'],
  done: [
    'event',
    'steps',
    'loss',
    'tokensPerSecond',
    'seconds',
    'exitCode',
    'wireBytes',
    'wireMessages',
    'evalLoss',
    'unigramEntropy',
    'bigramCrossEntropy',
    'folder',
  ],
};

test.serial(
  'launch --json: frozen fields, metrics.jsonl holds the same lines, no process is left',
  async (t) => {
    const { folder, path } = workplace(t);
    const cli = new CliProcess(['launch', 'small.yaml', '--json', '--set', 'eval.every=1'], { cwd: folder });
    await cli.line(/"event":"step"/);
    const workers = cli.children();
    t.is(workers.length, 2);
    const { code, stdout, stderr } = await cli.result;
    t.is(code, 0, stderr);
    t.deepEqual(alive([...workers, cli.pid]), []);
    const events = jsonLines(stdout);
    for (const [name, fields] of Object.entries(frozenFields)) {
      const found = events.find(({ event }) => event === name);
      t.deepEqual(Object.keys(found ?? {}), fields, name);
    }
    t.deepEqual(
      events.filter(({ event }) => event === 'step').map(({ step }) => step),
      [1, 2, 3, 4, 5, 6, 7, 8],
    );
    t.is(readFileSync(path('run/metrics.jsonl'), 'utf8'), stdout);

    const done = events.at(-1);
    t.is(done?.['event'], 'done');
    t.is(done?.['exitCode'], 0);
    t.true(Number(done?.['wireBytes']) > 0 && Number(done?.['wireMessages']) > 0);
    t.true(Number(done?.['bigramCrossEntropy']) < Number(done?.['unigramEntropy']));
    const evals = events.filter(({ event }) => event === 'eval');
    t.is(done?.['evalLoss'], evals.at(-1)?.['loss']);

    const evaluated = await runCli(['eval', 'run', '--json'], { cwd: folder });
    t.is(evaluated.code, 0, evaluated.stderr);
    t.like(jsonLines(evaluated.stdout)[0], {
      step: 8,
      loss: evals.at(-1)?.['loss'],
      tokens: evals.at(-1)?.['tokens'],
    });
    const older = await runCli(['eval', 'run', '--json', '--checkpoint', 'step-000004'], { cwd: folder });
    t.like(jsonLines(older.stdout)[0], { step: 4, loss: evals[3]?.['loss'] });
    const divided = ['--set', 'parallel.pp=2', '--set', 'parallel.dp=1', '--set', 'parallel.ep=1'];
    const onWorkers = await runCli(['eval', 'run', '--json', ...divided], { cwd: folder });
    t.is(onWorkers.code, 0, onWorkers.stderr);
    const [bits, onOne] = [onWorkers, evaluated].map((each) => jsonLines(each.stdout)[0]);
    t.deepEqual(
      { ...bits, tokensPerSecond: onOne?.['tokensPerSecond'] },
      onOne,
      'workers find the same bits',
    );
    const texts: unknown[] = [];
    for (const set of [[], divided]) {
      const text = ['generate', 'run', '--json', '--prompt', 'The', '--max-tokens', '8', ...set];
      const { code: generated, stdout: sample, stderr: why } = await runCli(text, { cwd: folder });
      t.is(generated, 0, why);
      texts.push(jsonLines(sample));
    }
    t.deepEqual(texts[1], texts[0], 'workers write the same text');
  },
);

test.serial(
  'launch: people see progress, the curve, what the loss means and what to type next',
  async (t) => {
    const { folder } = workplace(t);
    const at = { cwd: folder };
    const { code, stdout, stderr } = await runCli(['launch', 'small.yaml', '--stop-after', '4'], at);
    t.is(code, 0, stderr);
    t.is(stderr, '');
    t.regex(stdout, /^small: run folder run\n2 × /);
    t.regex(
      stdout,
      /^step 1\/8 {2}loss \d\.\d{4} {2}\S+ tokens\/s {2}MFU (?:-|[\d.]+%) {2}hottest L[01]\/e[0-3] ×\d\.\d {2}\d+s left$/m,
    );
    t.regex(stdout, /^step 4: held-out loss \d\.\d{4} over/m);
    t.regex(stdout, /^step 4: checkpoint run\/step-000004$/m);
    t.regex(stdout, /┤•/);
    t.regex(stdout, /unigram entropy \d\.\d{4}, bigram cross entropy \d\.\d{4}/);
    t.regex(stdout, /on the wire {4}[\d.]+ [KM]iB/);
    t.regex(
      stdout,
      /next: npx troupe generate run\n {6}npx troupe resume run\nexit 0 \(ok\): stopped after step 4 of 8, as asked; run folder run\n$/,
    );

    const samples = await runCli(['generate', 'run', '--samples', '2', '--max-tokens', '8', '--json'], at);
    t.is(samples.code, 0, samples.stderr);
    t.deepEqual(
      jsonLines(samples.stdout).map(({ event, index, step }) => ({ event, index, step })),
      [0, 1].map((index) => ({ event: 'sample', index, step: 4 })),
    );
    const again = await runCli(['generate', 'run', '--samples', '2', '--max-tokens', '8', '--json'], at);
    t.is(again.stdout, samples.stdout);
    const prompted = await runCli(
      ['generate', 'run/step-000002', '--prompt', 'The actor', '--max-tokens', '4'],
      at,
    );
    t.regex(prompted.stdout, /^The actor/);
  },
);

test.serial(
  'launch: a run folder that exists is never touched; a numbered sibling is made and named',
  async (t) => {
    const { folder, path } = workplace(t);
    const args = ['launch', 'small.yaml', '--stop-after', '1', '--no-checkpoint'];
    const first = await runCli([...args, '--quiet'], { cwd: folder });
    t.is(first.stdout, 'exit 0 (ok): stopped after step 1 of 8, as asked; run folder run\n');
    t.false(existsSync(path('run/step-000001')));
    const before = readFileSync(path('run/metrics.jsonl'), 'utf8');
    const second = await runCli(args, { cwd: folder });
    t.is(second.code, 0, second.stderr);
    t.regex(second.stdout, /run folder run-2 \(run belongs to an earlier run\)/);
    t.is(readFileSync(path('run/metrics.jsonl'), 'utf8'), before);
    const named = await runCli([...args, '--run-dir', 'mine/deep'], { cwd: folder });
    t.is(named.code, 0, named.stderr);
    t.true(existsSync(path('mine/deep/metrics.jsonl')));
  },
);

test.serial(
  'launch: metrics are written as the topology says, a resumed run goes on; none are left of a run without a step',
  async (t) => {
    const { folder, path } = workplace(t);
    const metrics = ['--set', 'metrics=[csv, tensorboard]'];
    const first = await runCli(['launch', 'small.yaml', '--json', '--stop-after', '4', ...metrics], {
      cwd: folder,
    });
    t.is(first.code, 0, first.stderr);
    t.is(readFileSync(path('run/metrics.jsonl'), 'utf8'), first.stdout);
    const rest = await runCli(['resume', 'run', '--stop-after', '6', '--json'], { cwd: folder });
    t.is(rest.code, 0, rest.stderr);
    const steps = jsonLines(first.stdout + rest.stdout).filter(({ event }) => event === 'step');
    const rows = readFileSync(path('run/metrics.csv'), 'utf8').trimEnd().split('\n').slice(1);
    t.deepEqual(
      rows.map((row) => row.split(',').slice(0, 2).join(' ')).filter((row) => !row.endsWith(' ')),
      steps.map(({ step, loss }) => `${String(step)} ${String(loss)}`),
    );
    t.is(readdirSync(path('run')).filter((name) => name.includes('tfevents')).length, 2);
    const none = await runCli(
      ['launch', 'small.yaml', '--set', 'data.text=none', '--run-dir', 'no', ...metrics],
      { cwd: folder },
    );
    t.not(none.code, 0);
    t.false(existsSync(path('no')));
  },
);

test.serial('launch: a run that holds nothing out says so, not that it was not measured', async (t) => {
  const { folder } = workplace(t);
  const args = ['launch', 'small.yaml', '--stop-after', '1', '--set', 'data.holdout=0'];
  const { code, stdout, stderr } = await runCli(args, { cwd: folder });
  t.is(code, 0, stderr);
  t.regex(stdout, /^held-out loss {2}none: nothing is held out \(data\.holdout\)$/m);
});
