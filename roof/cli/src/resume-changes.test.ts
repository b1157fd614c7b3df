import { readFileSync, writeFileSync } from 'node:fs';
import test from 'ava';
import { jsonLines, runCli, type CliResult } from './testing/cli-process.ts';
import { workplace } from './testing/workplace.ts';

const steps = ({ stdout }: CliResult): readonly Record<string, unknown>[] =>
  jsonLines(stdout)
    .filter(({ event }) => event === 'step')
    .map(({ step, loss, gradNorm, learningRate }) => ({ step, loss, gradNorm, learningRate }));

test.serial(
  'resume --extend-to: goes on behind the last step, as a run of that length where the rate is constant',
  async (t) => {
    const { folder } = workplace(t);
    const at = { cwd: folder };
    const constant = ['--set', 'train.optimizer.schedule=constant', '--set', 'train.optimizer.warmup=0.25'];
    const longer = ['--set', 'train.steps=8', ...constant];
    const whole = await runCli(['launch', 'small.yaml', '--json', '--run-dir', 'whole', ...longer], at);
    const shorter = [
      '--set',
      'train.steps=4',
      '--set',
      'train.optimizer.schedule=constant',
      '--set',
      'train.optimizer.warmup=0.5',
    ];
    t.is((await runCli(['launch', 'small.yaml', '--quiet', ...shorter], at)).code, 0);
    const same = await runCli(['resume', 'run', '--extend-to', '4'], at);
    t.is(same.code, 2);
    t.regex(same.stderr, /extendTo \(--extend-to\) is 4, and the run has 4 steps already/);
    const extended = await runCli(['resume', 'run', '--extend-to', '8', '--json', '--stop-after', '6'], at);
    t.is(extended.code, 0, extended.stderr);
    // Both warm up for two steps.
    t.deepEqual(steps(extended), steps(whole).slice(4, 6));
    const rest = await runCli(['resume', 'run', '--json'], at);
    t.deepEqual(steps(rest), steps(whole).slice(6), rest.stderr);
    const older = await runCli(['resume', 'run', '--checkpoint', 'step-000002', '--extend-to', '9'], at);
    t.is(older.code, 2);
    t.regex(older.stderr, /run also holds step-000008 of the run as it went/);
  },
);

test.serial(
  'resume --extend-to: a wsd run that has not begun to decay goes on as a run of that length, bit for bit',
  async (t) => {
    const { folder } = workplace(t);
    const at = { cwd: folder };
    const wsd = (steps: number, warmup: number): readonly string[] =>
      [
        `train.steps=${steps}`,
        'train.optimizer.schedule=wsd',
        `train.optimizer.warmup=${warmup}`,
        'train.optimizer.decay=0.5',
      ].flatMap((value) => ['--set', value]);
    const whole = await runCli(
      ['launch', 'small.yaml', '--json', '--run-dir', 'whole', ...wsd(8, 0.125)],
      at,
    );
    const lr = 3e-3;
    t.deepEqual(
      steps(whole).map(({ learningRate }) => learningRate),
      [lr, lr, lr, lr, ...[0.75, 0.5, 0.25].map((share) => lr / 10 + (lr - lr / 10) * share), lr / 10],
      whole.stderr,
    );
    t.is(
      (await runCli(['launch', 'small.yaml', '--quiet', '--stop-after', '2', ...wsd(4, 0.25)], at)).code,
      0,
    );
    const extended = await runCli(['resume', 'run', '--extend-to', '8', '--json'], at);
    t.deepEqual(steps(extended), steps(whole).slice(2), extended.stderr);
  },
);

test.serial(
  'resume --reset-schedule: another rate, warmed up anew, also when it is resumed again',
  async (t) => {
    const { folder } = workplace(t);
    const at = { cwd: folder };
    await runCli(['launch', 'small.yaml', '--quiet', '--stop-after', '4'], at);
    const refused = await runCli(['resume', 'run', '--set', 'train.optimizer.lr=1e-2'], at);
    t.is(refused.code, 3);
    t.regex(
      refused.stderr,
      /train\.optimizer\.lr is 0\.003 in the checkpoint and 0\.01 now; .*--reset-schedule/,
    );
    const set = ['--set', 'train.optimizer.lr=1e-4', '--set', 'train.optimizer.warmup=0.5'];
    const reset = await runCli(['resume', 'run', '--reset-schedule', '--stop-after', '6', ...set], at);
    t.is(reset.code, 0, reset.stderr);
    t.regex(
      reset.stdout,
      /the schedule restarts after step 4, for 4 steps; weights, moments and data go on; the learning rate of step 5 is 0\.00005 instead of/,
    );
    const rest = await runCli(['resume', 'run', '--json'], at);
    t.deepEqual(
      steps(rest).map(({ learningRate }) => learningRate),
      [0.000055, 0.00001],
      rest.stderr,
    );
  },
);

test.serial('resume: machines and a body that nobody wrote follow the new layout, bit for bit', async (t) => {
  const { folder, path } = workplace(t);
  const at = { cwd: folder };
  const free = readFileSync(path('small.yaml'), 'utf8').replace(/machines:\n.*\n/u, '');
  writeFileSync(path('free.yaml'), free);
  const whole = await runCli(['launch', 'free.yaml', '--json', '--run-dir', 'whole'], at);
  await runCli(['launch', 'free.yaml', '--quiet', '--stop-after', '2'], at);
  const four = await runCli(
    ['resume', 'run', '--json', '--set', 'parallel.dp=4', '--set', 'parallel.ep=2', '--stop-after', '4'],
    at,
  );
  t.is(four.code, 0, four.stderr);
  t.is(jsonLines(four.stdout)[0]?.['processes'], 4);
  t.deepEqual(steps(four), steps(whole).slice(2, 4));
  const one = await runCli(
    ['resume', 'run', '--json', '--set', 'parallel.dp=1', '--set', 'parallel.ep=1'],
    at,
  );
  t.deepEqual(steps(one), steps(whole).slice(4), one.stderr);
  // What somebody wrote stays.
  await runCli(['launch', 'small.yaml', '--quiet', '--stop-after', '2', '--run-dir', 'written'], at);
  const written = await runCli(['resume', 'written', '--set', 'parallel.dp=4', '--set', 'parallel.ep=2'], at);
  t.is(written.code, 5, written.stderr);
});
