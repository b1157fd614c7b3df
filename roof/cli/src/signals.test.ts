import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import test from 'ava';
import {
  alive,
  CliProcess,
  jsonLines,
  runCli,
  waitForDeath,
  type CliOptions,
} from './testing/cli-process.ts';
import { workplace, type Workplace } from './testing/workplace.ts';

/** A run that would go on for hours, in its third step or later; `workers` are its processes. */
async function running(
  { folder }: Workplace,
  args: readonly string[],
  step: RegExp,
  options: Partial<CliOptions> = {},
): Promise<{ readonly cli: CliProcess; readonly workers: readonly number[] }> {
  const cli = new CliProcess(['launch', 'endless.yaml', ...args], { cwd: folder, ...options });
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

const endings = [
  ['SIGHUP', 129, 'hung up'],
  ['SIGQUIT', 131, 'quit'],
  ['SIGXCPU', 152, 'out of processor time'],
] as const;

for (const [signal, expected, meaning] of endings) {
  test.serial(
    `signals: ${signal} finishes the step, writes a checkpoint and exits ${expected}`,
    async (t) => {
      const place = workplace(t);
      const { cli, workers } = await running(place, [], plainStep, { hasOwnSession: true });
      // A terminal that closes tells the workers too.
      for (const pid of [...workers, cli.pid]) process.kill(pid, signal);
      const { code, stderr } = await cli.result;
      t.is(code, expected, stderr);
      t.deepEqual(alive(workers), []);
      const [checkpoint] = readdirSync(place.path('run')).filter((name) => /^step-\d+$/.test(name));
      t.true(existsSync(place.path(`run/${checkpoint}/manifest.json`)));
      t.regex(
        stderr,
        new RegExp(
          `exit ${expected} \\(${meaning}\\): after step ${Number(checkpoint?.slice(5))} of 100000; the last checkpoint is run/${checkpoint}; go on with: npx troupe resume run\n$`,
        ),
      );
    },
  );
}

/** Starts what follows it, without a note of what started that. */
const spawner = `const { spawnSync } = require('node:child_process');
process.exit(spawnSync('env', ['-u', '_', ...process.argv.slice(1)], { stdio: 'inherit' }).status ?? 1)`;

/** How many processes stand between what is started and the run. */
const nohups: Readonly<Record<string, readonly [depth: number, under: readonly string[]]>> = {
  'in a shell': [0, ['bash', '-c', 'nohup "$0" "$@"']],
  'in a shell, before nice': [0, ['bash', '-c', 'nohup nice "$0" "$@"']],
  'behind nice, around a script': [1, ['env', '-u', '_', 'nice', 'nohup', 'sh', '-c', '"$0" "$@"; exit $?']],
  'around a script': [1, ['env', '-u', '_', 'nohup', 'sh', '-c', '"$0" "$@"; exit $?']],
  'around a script that starts Node, as npx does': [
    2,
    ['env', '-u', '_', 'nohup', 'sh', '-c', `"$0" -e "${spawner}" "$@"; exit $?`, process.execPath],
  ],
  'in a shell, of Node that starts Node': [
    2,
    ['bash', '-c', `nohup "$0" -e "${spawner}" "$@"; exit $?`, process.execPath],
  ],
};

for (const [title, [depth, under]] of Object.entries(nohups)) {
  test.serial(`signals: SIGHUP stays ignored under a nohup ${title}`, async (t) => {
    const { folder } = workplace(t);
    const args = ['launch', 'endless.yaml', '--json'];
    const cli = new CliProcess(args, { cwd: folder, under, hasOwnSession: true });
    await cli.line(jsonStep);
    let agent = cli.pid;
    for (let level = 0; level < depth; level++) agent = cli.children(agent)[0] ?? NaN;
    t.is(cli.children(agent).length, 2, 'it is the agent of two workers');
    process.kill(agent, 'SIGHUP');
    // The signal has been heard when ten steps have passed.
    await cli.line(/"event":"step","step":\d*9,/);
    await cli.line(/"event":"step","step":\d*9,/);
    process.kill(agent, 'SIGTERM');
    const { code, stdout } = await cli.result;
    t.is(code, 143, 'SIGHUP would have ended it with 129');
    t.like(jsonLines(stdout).at(-1), { event: 'done', exitCode: 143 });
  });
}

test.serial('signals: a second Ctrl-C before there is a run leaves a sentence and no folder', async (t) => {
  const { folder, path } = workplace(t);
  const cli = new CliProcess(['launch', 'endless.yaml', '--run-dir', 'runs/x'], {
    cwd: folder,
    env: { TMPDIR: folder },
  });
  await cli.line(/run folder runs\/x/);
  // A worker that cannot answer: the run never begins.
  for (const pid of cli.children()) process.kill(pid, 'SIGSTOP');
  cli.signal('SIGINT');
  await cli.line(/finishing the step and writing a checkpoint; Ctrl-C leaves at once/);
  cli.signal('SIGINT');
  const { code, stderr } = await cli.result;
  t.is(code, 130, stderr);
  t.regex(stderr, /exit 130 \(interrupted\): after step 0 of 100000; no checkpoint was written\n$/);
  t.false(existsSync(path('runs')));
  t.deepEqual(
    readdirSync(folder).filter((name) => name.startsWith('troupe-run-')),
    [],
  );
});

const hasScript = spawnSync('script', ['-qec', 'true', '/dev/null']).status === 0;

(hasScript ? test.serial : test.serial.skip)(
  'signals: a closed terminal leaves a checkpoint and exit code 129',
  async (t) => {
    const { folder, path } = workplace(t);
    // The shell passes the signal on, as one that a person types into does, and tells the exit code.
    const shell =
      'trap "kill -HUP \\$RUNNING" HUP; $RUN & RUNNING=$!; wait $RUNNING; wait $RUNNING; echo $? >code';
    const inTerminal = `RUN="$*" exec script -qec '${shell}' /dev/null`;
    const cli = new CliProcess(['launch', 'endless.yaml', '--json'], {
      cwd: folder,
      under: ['bash', '-c', inTerminal, 'bash'],
      env: { SHELL: '/bin/bash' },
      hasOwnSession: true,
    });
    await cli.line(jsonStep);
    const shells = cli.children();
    const agents = cli.children(shells[0]);
    const left = [...shells, ...agents, ...cli.children(agents[0])];
    t.is(left.length, 4);
    cli.signal('SIGKILL');
    await cli.result;
    t.deepEqual(waitForDeath(left, 10_000), []);
    t.is(readFileSync(path('code'), 'utf8'), '129\n');
    t.regex(readdirSync(path('run')).join(' '), /step-\d{6}/);
  },
);

test.serial('signals: a reader that leaves ends nothing', async (t) => {
  const { folder, path } = workplace(t);
  // Of both streams.
  const under = ['bash', '-c', '"$0" "$@" 2>&1 | head -n 3 >/dev/null; exit "${PIPESTATUS[0]}"'];
  const { code } = await runCli(['launch', 'small.yaml', '--json'], { cwd: folder, under });
  t.is(code, 0);
  t.true(existsSync(path('run/step-000008')));
});

for (const [stream, sentences] of [
  ['>', 1],
  ['2>', 0],
] as const)
  test.serial(`output: a full disk under ${stream} ends nothing`, async (t) => {
    const { folder, path } = workplace(t);
    const under = ['bash', '-c', `"$0" "$@" ${stream} /dev/full`];
    const run = await runCli(['launch', 'small.yaml', '--json'], { cwd: folder, under });
    t.is(run.code, 0, run.stderr);
    t.true(existsSync(path('run/step-000008')));
    const text = await runCli(['validate', 'small.yaml'], { cwd: folder, under });
    t.is(text.code, 0, text.stderr);
    const wrong = await runCli(['validate', 'none.yaml'], { cwd: folder, under });
    t.is(wrong.code, 3, wrong.stderr);
    for (const { stderr } of [run, text]) {
      t.is(stderr.split('troupe: standard output is full (ENOSPC)').length - 1, sentences, stderr);
      t.notRegex(stderr, /\n {4}at /);
    }
  });

test.serial('simulate: its processes do not outlive it', async (t) => {
  const { folder } = workplace(t);
  const args = ['simulate', 'tiny', '--steps', '50', '--seeds', '0..999', '--jobs', '2', '--json'];
  const cli = new CliProcess(args, { cwd: folder });
  await cli.line(/"event":"simulation"/);
  const children = cli.children();
  t.is(children.length, 2);
  cli.signal('SIGKILL');
  await cli.result;
  t.deepEqual(waitForDeath(children, 10_000), []);
});

test.serial('signals: without a grace SIGTERM leaves at once, without a checkpoint', async (t) => {
  const place = workplace(t);
  // A stopped worker: the step cannot be finished.
  const { cli, workers } = await running(place, ['--grace', '0'], plainStep);
  process.kill(workers[0] ?? NaN, 'SIGSTOP');
  cli.signal('SIGTERM');
  const { code, stderr } = await cli.result;
  t.is(code, 143, stderr);
  t.deepEqual(alive(workers), []);
  t.regex(
    stderr,
    /exit 143 \(terminated\): after step \d+ of 100000; no checkpoint was written; run folder run\n$/,
  );
});

test.serial('signals: a second Ctrl-C leaves at once', async (t) => {
  const place = workplace(t);
  const { cli, workers } = await running(place, [], plainStep);
  process.kill(workers[1] ?? NaN, 'SIGSTOP');
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
  'signals: where no loss is tolerated, a killed worker ends the run with 76 and names worker, actors, step',
  async (t) => {
    const place = workplace(t);
    const { cli, workers } = await running(
      place,
      ['--set', 'checkpoint.every=2', '--set', 'recovery.losses=0', '--json'],
      jsonStep,
    );
    await cli.line(/"event":"checkpoint"/);
    const start = Date.now();
    process.kill(workers[0] ?? NaN, 'SIGKILL');
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

test.serial('signals: a killed worker beyond what is tolerated tells people how to resume', async (t) => {
  const place = workplace(t);
  const args = ['--set', 'checkpoint.every=1', '--set', 'recovery.losses=0'];
  const { cli, workers } = await running(place, args, /: checkpoint /);
  process.kill(workers[1] ?? NaN, 'SIGKILL');
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
  process.kill(workers[1] ?? NaN, 'SIGKILL');
  await cli.line(/^worker\/1 is back after [\d.]+ s with the state of the last checkpoint; step \d+ opens/);
  const now = cli.children();
  t.is(now.length, 2);
  cli.signal('SIGINT');
  const { code, stdout } = await cli.result;
  t.is(code, 130);
  t.regex(stdout, /^worker\/1 was lost \(.+\) in step \d+; it held .*; recovering$/m);
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
