import { cpSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import test from 'ava';
import { CliProcess, jsonLines, runCli, waitForDeath } from './testing/cli-process.ts';
import { workplace } from './testing/workplace.ts';

interface Numbers {
  readonly step: unknown;
  readonly loss: unknown;
  readonly auxLoss: unknown;
  readonly gradNorm: unknown;
}

/** What must be equal, bit for bit. */
const numbers = (stdout: string): readonly Numbers[] =>
  jsonLines(stdout)
    .filter(({ event }) => event === 'step')
    .map(({ step, loss, auxLoss, gradNorm }) => ({ step, loss, auxLoss, gradNorm }));

const oneDevice = [
  '--set',
  'parallel.dp=1',
  '--set',
  'parallel.ep=1',
  '--set',
  'machines=[{host: localhost, devices: [cpu:0]}]',
];

test.serial(
  'resume: a run killed after a checkpoint goes on bit for bit, on another layout too',
  async (t) => {
    const { folder, path } = workplace(t);
    const at = { cwd: folder };
    const whole = await runCli(['launch', 'small.yaml', '--json', '--run-dir', 'whole'], at);
    t.is(whole.code, 0, whole.stderr);
    const expected = numbers(whole.stdout);
    t.is(expected.length, 8);

    const killed = new CliProcess(['launch', 'small.yaml', '--json', '--run-dir', 'cut'], at);
    await killed.line(/"event":"checkpoint","step":4/);
    const workers = killed.children();
    killed.signal('SIGKILL');
    await killed.result;
    t.deepEqual(waitForDeath(workers, 10_000), []);
    // A later checkpoint may have been under way; the kill decides only how far the run came.
    const names = readdirSync(path('cut')).filter((name) => /^step-\d+$/.test(name));
    t.true(names.includes('step-000004'));
    cpSync(path('cut'), path('cut-too'), { recursive: true });
    const before = readFileSync(path('cut/metrics.jsonl'), 'utf8');

    const resumed = await runCli(['resume', 'cut', '--json', '--checkpoint', 'step-000004'], at);
    t.is(resumed.code, 0, resumed.stderr);
    t.deepEqual(numbers(resumed.stdout), expected.slice(4));
    t.is(readFileSync(path('cut/metrics.jsonl'), 'utf8'), before + resumed.stdout);

    const other = await runCli(['resume', 'cut-too/step-000004', '--json', ...oneDevice], at);
    t.is(other.code, 0, other.stderr);
    t.deepEqual(numbers(other.stdout), expected.slice(4));

    const complete = await runCli(['resume', 'cut'], at);
    t.is(complete.code, 0);
    t.regex(complete.stdout, /cut is complete: it holds step 8 of 8/);
  },
);

test.serial(
  'resume: from another folder, to a chosen step, and only with what keeps the numbers',
  async (t) => {
    const { folder } = workplace(t);
    await runCli(['launch', 'small.yaml', '--stop-after', '2', '--quiet'], { cwd: folder });
    const changed = await runCli(
      ['resume', 'run', '--set', 'train.optimizer.lr=1', '--set', 'model.moe.topK=1'],
      { cwd: folder },
    );
    t.is(changed.code, 3);
    t.regex(
      changed.stderr,
      /model.moe.topK is 2 in the checkpoint and 1 now; train.optimizer.lr is 0.003 in the checkpoint and 1 now/,
    );
    const wrong = await runCli(['resume', 'run', '--set', 'parallel.dp=3'], { cwd: folder });
    t.is(wrong.code, 3);
    t.regex(wrong.stderr, /--set parallel.dp=3/);
    const behind = await runCli(['resume', 'run', '--stop-after', '1'], { cwd: folder });
    t.is(behind.code, 2);
    t.regex(behind.stderr, /--stop-after 1 lies behind the checkpoint, which holds step 2/);
    const unknown = await runCli(['resume', 'run', '--checkpoint', 'step-000001'], { cwd: folder });
    t.is(unknown.code, 2);
    t.regex(unknown.stderr, /there are step-000002/);
    const elsewhere = await runCli(
      ['resume', `${folder}/run`, '--stop-after', '3', '--set', 'checkpoint.every=0'],
      { cwd: '/' },
    );
    t.is(elsewhere.code, 0, elsewhere.stderr);
    t.regex(elsewhere.stdout, /on from .*run\/step-000002/);
    t.regex(elsewhere.stdout, /step 3: checkpoint .*run\/step-000003/);
  },
);

test.serial('resume: a damaged newest checkpoint is refused by the name of what is damaged', async (t) => {
  const { folder, path } = workplace(t);
  const at = { cwd: folder };
  await runCli(['launch', 'small.yaml', '--stop-after', '4', '--quiet'], at);
  const newest = path('run/step-000004');
  const weights = `${newest}/weights.safetensors`;
  const intact = readFileSync(weights);
  const refused = async (what: RegExp): Promise<void> => {
    const { code, stderr } = await runCli(['resume', 'run'], at);
    t.is(code, 1);
    t.regex(stderr, what);
    t.regex(
      stderr,
      /checkpoint 'step-000004' is damaged: .*; to go on from an older one, pass --checkpoint step-000002\n/,
    );
  };
  const flipped = Buffer.from(intact);
  flipped[flipped.length - 5] = (flipped[flipped.length - 5] ?? 0) ^ 1;
  writeFileSync(weights, flipped);
  await refused(/bytes of tensor '[\w.]+' \(weights\) in 'weights.safetensors' have changed/);
  writeFileSync(weights, intact);
  truncateSync(weights, intact.length - 4);
  await refused(/file 'weights.safetensors' has \d+ bytes instead of \d+/);
  rmSync(weights);
  await refused(/file 'weights.safetensors' is missing/);
  writeFileSync(weights, intact);
  writeFileSync(`${newest}/more.safetensors`, '');
  await refused(/file 'more.safetensors' does not belong to it/);
  rmSync(`${newest}/more.safetensors`);
  const manifest = readFileSync(`${newest}/manifest.json`, 'utf8');
  writeFileSync(`${newest}/manifest.json`, manifest.replace('"step": 4', '"step": 5'));
  await refused(/manifest.json does not match its own hash/);

  const asked = await runCli(['resume', 'run', '--checkpoint', 'step-000004'], at);
  t.is(asked.code, 1);
  t.regex(asked.stderr, /the run also has step-000002/);
  const older = await runCli(
    ['resume', 'run', '--checkpoint', 'step-000002', '--stop-after', '3', '--quiet'],
    at,
  );
  t.is(older.code, 0, older.stderr);
});
