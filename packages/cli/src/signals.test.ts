import { existsSync, readdirSync } from 'node:fs';
import test from 'ava';
import { alive, CliProcess, jsonLines, runCli, waitForDeath } from './testing/cli-process.ts';
import { workplace, type Workplace } from './testing/workplace.ts';

/** A run that would go on for hours, in its third step or later; `workers` are its processes. */
async function running(
  { folder }: Workplace,
  args: readonly string[],
  step: RegExp,
): Promise<{ readonly cli: CliProcess; readonly workers: readonly number[] }> {
  const cli = new CliProcess(['launch', 'endless.yaml', ...args], { cwd: folder });
  await cli.line(step);
  return { cli, workers: cli.children() };
}

const plainStep = /^step 1\//;
const jsonStep = /"event":"step","step":3,/;

test.serial('signals: Ctrl-C finishes the step, writes a checkpoint and exits 130', async (t) => {
  const place = workplace(t);
  const { cli, workers } = await running(place, [], plainStep);
  t.is(workers.length, 2);
  cli.signal('SIGINT');
  const { code, stderr } = await cli.result;
  t.is(code, 130, stderr);
  t.deepEqual(alive(workers), []);
  const [checkpoint] = readdirSync(place.path('run')).filter((name) => /^step-\d+$/.test(name));
  t.truthy(checkpoint);
  t.true(existsSync(place.path(`run/${checkpoint}/manifest.json`)));
  const step = Number(checkpoint?.slice(5));
  t.true(
    stderr.endsWith(
      `exit 130 (interrupted): after step ${step} of 100000; the last checkpoint is run/${checkpoint}; go on with: npx troupe resume run\n`,
    ),
    stderr,
  );
});

test.serial('signals: SIGTERM does the same and exits 143; done says so under --json', async (t) => {
  const place = workplace(t);
  const { cli, workers } = await running(place, ['--json'], jsonStep);
  cli.signal('SIGTERM');
  const { code, stdout } = await cli.result;
  t.is(code, 143);
  t.deepEqual(alive(workers), []);
  const events = jsonLines(stdout);
  const checkpoint = events.find(({ event }) => event === 'checkpoint');
  t.is(events.at(-1)?.['event'], 'done');
  t.is(events.at(-1)?.['exitCode'], 143);
  t.is(events.at(-1)?.['steps'], checkpoint?.['step']);
});

test.serial('signals: without a grace SIGTERM leaves at once, without a checkpoint', async (t) => {
  const place = workplace(t);
  // A stopped worker: the step cannot be finished.
  const { cli, workers } = await running(place, ['--grace', '0'], plainStep);
  process.kill(workers[0] ?? -1, 'SIGSTOP');
  cli.signal('SIGTERM');
  const { code, stderr } = await cli.result;
  t.is(code, 143, stderr);
  t.deepEqual(alive(workers), []);
  t.regex(stderr, /exit 143 \(terminated\): after step \d+ of 100000; no checkpoint was written\n$/);
});

test.serial('signals: a second Ctrl-C leaves at once', async (t) => {
  const place = workplace(t);
  const { cli, workers } = await running(place, [], plainStep);
  process.kill(workers[1] ?? -1, 'SIGSTOP');
  cli.signal('SIGINT');
  // npm passes Ctrl-C on: the same one twice is once.
  cli.signal('SIGINT');
  await cli.line(/finishing the step and writing a checkpoint; Ctrl-C leaves at once/);
  cli.signal('SIGINT');
  const { code, stderr } = await cli.result;
  t.is(code, 130, stderr);
  t.deepEqual(alive(workers), []);
  t.regex(stderr, /exit 130 \(interrupted\): .*no checkpoint was written/);
});

test.serial(
  'signals: where no loss is made good, a killed worker ends the run with 76 and names worker, actors, step',
  async (t) => {
    const place = workplace(t);
    const { cli, workers } = await running(
      place,
      ['--set', 'checkpoint.every=2', '--set', 'recovery.losses=0', '--json'],
      jsonStep,
    );
    await cli.line(/"event":"checkpoint"/);
    const start = Date.now();
    process.kill(workers[0] ?? -1, 'SIGKILL');
    const { code, stdout, stderr } = await cli.result;
    t.is(code, 76, stderr);
    t.true(Date.now() - start < 10_000);
    t.deepEqual(alive(workers), []);
    const [error, done] = jsonLines(stdout).slice(-2);
    t.is(error?.['code'], 'TROUPE_WORKER_LOST');
    t.regex(
      String(error?.['message']),
      /^worker\/[01] was lost \(.+\) in step \d+; it held feeder\/dp[01], stage\/pp0\/dp[01]/,
    );
    t.like(done, { event: 'done', exitCode: 76 });
  },
);

test.serial('signals: a killed worker that is not made good tells people how to resume', async (t) => {
  const place = workplace(t);
  const args = ['--set', 'checkpoint.every=1', '--set', 'recovery.losses=0'];
  const { cli, workers } = await running(place, args, /: checkpoint /);
  process.kill(workers[1] ?? -1, 'SIGKILL');
  const { code, stderr } = await cli.result;
  t.is(code, 76);
  t.regex(
    stderr,
    /^exit 76 \(a worker was lost\): worker\/[01] was lost .* in step \d+; it held .*; the last checkpoint is run\/step-\d+; go on with: npx troupe resume run\n$/m,
  );
});

test.serial('signals: a killed worker comes back, the run goes on and people are told', async (t) => {
  const place = workplace(t);
  const { cli, workers } = await running(place, ['--set', 'checkpoint.every=1'], /: checkpoint /);
  process.kill(workers[1] ?? -1, 'SIGKILL');
  await cli.line(/^worker\/1 is back after [\d.]+ s with the state of the last checkpoint; step \d+ opens/);
  const now = cli.children();
  t.is(now.length, 2);
  cli.signal('SIGINT');
  const { code, stdout } = await cli.result;
  t.is(code, 130);
  t.regex(stdout, /^worker\/1 was lost \(.+\) in step \d+; it held .*; going back to step \d+$/m);
  t.deepEqual(alive([...workers, ...now]), []);
});

test.serial('signals: workers do not outlive a killed parent', async (t) => {
  const place = workplace(t);
  const { cli, workers } = await running(place, ['--json'], jsonStep);
  t.is(workers.length, 2);
  cli.signal('SIGKILL');
  await cli.result;
  t.deepEqual(waitForDeath(workers, 10_000), []);
});

test.serial('signals: Ctrl-C while a run starts ends it with 130 before its first step', async (t) => {
  const { folder, path } = workplace(t);
  const cli = new CliProcess(['launch', 'endless.yaml'], { cwd: folder });
  await cli.line(/run folder run/);
  cli.signal('SIGINT');
  const { code, stdout, stderr } = await cli.result;
  t.is(code, 130, stderr);
  t.false(/^step 2\//m.test(stdout));
  t.regex(stderr, /exit 130 \(interrupted\): after step [01] of 100000/);
  t.is(existsSync(path('run')), /^step 1\//m.test(stdout));
});

test.serial('signals: a full disk ends the run with 75 and says what to do', async (t) => {
  const { folder, path } = workplace(t);
  await runCli(['tokenize', 'small.yaml', '--text', 'x'], { cwd: folder });
  // Files of at most 64 KiB: metrics fit, the checkpoint does not.
  const args = ['launch', 'small.yaml', '--set', 'model.dModel=64'];
  const { code, stderr } = await new CliProcess(args, { cwd: folder, fileKibMax: 64 }).result;
  t.is(code, 75, stderr);
  t.regex(
    stderr,
    /no room left to write 'step-000002.*'; free space, raise the quota, then resume; no checkpoint was written/,
  );
  t.deepEqual(
    readdirSync(path('run')).filter((name) => name.startsWith('step-')),
    [],
  );
});
