import { existsSync, readdirSync, readFileSync } from 'node:fs';
import test from 'ava';
import { CliProcess, jsonLines, runCli } from './testing/cli-process.ts';
import { workplace } from './testing/workplace.ts';

test.serial(
  'resume: of a run that is written by another process ends with 75 and a sentence; the first goes on',
  async (t) => {
    const { folder, path } = workplace(t);
    const at = { cwd: folder };
    const first = new CliProcess(['launch', 'endless.yaml', '--json', '--set', 'checkpoint.every=1'], at);
    await first.line(/"event":"checkpoint"/);
    for (const args of [
      ['resume', 'run'],
      ['resume', 'run', '--checkpoint', 'step-000001'],
      ['resume', 'run', '--json'],
    ]) {
      const refused = await runCli(args, at);
      t.is(refused.code, 75, refused.stderr);
      t.regex(
        refused.stderr + refused.stdout,
        new RegExp(
          `run folder 'run' is in use: process ${first.pid} on .+, since .+, writes it; wait until it ends, or end it`,
          'u',
        ),
      );
    }
    first.signal('SIGINT');
    const { code, stdout, stderr } = await first.result;
    t.is(code, 130, stderr);
    t.is(readFileSync(path('run/metrics.jsonl'), 'utf8'), stdout, 'nobody else wrote a line');
    const steps = jsonLines(stdout).filter(({ event }) => event === 'step').length;
    const rest = await runCli(['resume', 'run', '--json', '--stop-after', `${steps + 1}`], at);
    t.is(rest.code, 0, rest.stderr);
  },
);

test.serial(
  'resume: two at once of a run whose process was killed: one goes on, the other is told so',
  async (t) => {
    const { folder, path } = workplace(t);
    const at = { cwd: folder };
    const killed = new CliProcess(['launch', 'small.yaml', '--json'], at);
    await killed.line(/"event":"checkpoint","step":2/);
    killed.signal('SIGKILL');
    await killed.result;
    const ended = await Promise.all([0, 1].map(() => runCli(['resume', 'run', '--json'], at)));
    t.deepEqual(
      ended.map(({ code }) => code).toSorted((a, b) => Number(a) - Number(b)),
      [0, 75],
      ended.map(({ stderr }) => stderr).join('\n'),
    );
    const [winner, loser] = ended.toSorted((a, b) => Number(a.code) - Number(b.code));
    t.is(jsonLines(winner?.stdout ?? '').at(-1)?.['steps'], 8);
    t.deepEqual(
      jsonLines(loser?.stdout ?? '').map(({ code }) => code),
      ['TROUPE_RUN_LOCKED'],
    );
    t.deepEqual(
      readdirSync(path('run')).filter((name) => /partial|pending/u.test(name)),
      [],
    );
  },
);

test.serial(
  'launch: a run that comes to no step leaves no lock; start, done and the last line name the folder',
  async (t) => {
    const { folder, path } = workplace(t);
    const at = { cwd: folder };
    const none = await runCli(['launch', 'small.yaml', '--set', 'data.text=nowhere.txt'], at);
    t.not(none.code, 0);
    t.false(existsSync(path('run')));
    const json = await runCli(['launch', 'small.yaml', '--stop-after', '1', '--json'], at);
    const events = jsonLines(json.stdout);
    t.like(
      events.find(({ event }) => event === 'start'),
      { folder: 'run' },
    );
    t.like(events.at(-1), { event: 'done', folder: 'run' });
    const quiet = await runCli(['resume', 'run', '--stop-after', '2', '--quiet'], at);
    t.is(quiet.stdout, 'exit 0 (ok): stopped after step 2 of 8, as asked; run folder run\n', quiet.stderr);
  },
);
