import { existsSync, readFileSync } from 'node:fs';
import test from 'ava';
import type { RunStatus } from 'troupe/control';
import { restLines } from './operate/rest-lines.ts';
import { bar, layerLines } from './operate/load-bars.ts';
import { statusLines } from './operate/status-lines.ts';
import { topLine, topScreen } from './operate/top-screen.ts';
import { CliProcess, jsonLines, runCli, waitForDeath } from './testing/cli-process.ts';
import { workplace } from './testing/workplace.ts';

const node = (rank: number, rest: object = {}): RunStatus['nodes'][number] => ({
  node: `worker/${rank}`,
  machine: rank >> 1,
  life: 1,
  isAway: false,
  seenMs: 400,
  actors: [
    { address: `stage/pp0/dp${rank}`, state: 'forwarding.layer', mailboxSize: 2 },
    { address: `expert/L1/ep${rank}`, state: 'serving', mailboxSize: 1 },
  ],
  ...rest,
});

const status = (rest: Partial<RunStatus> = {}): RunStatus => ({
  state: 'running',
  name: 'quickstart',
  pid: 4711,
  host: 'gpu-1',
  since: '2026-12-01T12:00:00.000Z',
  seconds: 130,
  step: 1200,
  of: 10_000,
  loss: 2.345678,
  evalLoss: 2.4,
  tokensPerSecond: 6543,
  stepSeconds: 0.21,
  kernelShare: 0.612,
  dropRate: 0,
  secondsLeft: 1900,
  task: null,
  openSeconds: 0.2,
  checkpoint: { step: 1000, path: 'runs/quickstart/step-001000', secondsAgo: 41 },
  losses: 1,
  recoveries: 1,
  lastFault: 'worker/1 was lost (signal SIGKILL) in step 300; it held stage/pp0/dp1; recovering',
  nodes: [node(0), node(1, { life: 2, isAway: true, seenMs: null, actors: [] }), node(2, { seenMs: 9000 })],
  waits: ['trainer waits for agent/0: votes and measures (step 1201) since 0.2 s'],
  copies: { shards: 8, doubled: 6 },
  experts: { steps: 10, layers: [{ layer: 1, loads: [1, 0.5, 0, 2.5] }] },
  layout: 'pp 1 × dp 2 × tp 1, ep 2, zero 1 on m0, m1',
  relayouts: [
    {
      id: 'a1',
      kind: 'drain',
      by: 'ada@gpu-1',
      what: 'drain m2',
      state: 'done',
      step: 900,
      from: 'pp 1 × dp 3 × tp 1, ep 1, zero 1 on m0, m1, m2',
      to: 'pp 1 × dp 2 × tp 1, ep 2, zero 1 on m0, m1',
      pauseMs: 2140,
      problem: null,
    },
  ],
  ...rest,
});

test('status: a running run in sentences', (t) => {
  t.deepEqual(statusLines(status()), [
    'quickstart: running in process 4711 on gpu-1 for 2m 10s, since 2026-12-01T12:00:00.000Z',
    'step 1200/10000  loss 2.3457  6.54k tokens/s  0.21 s a step  kernels 61.2%',
    'next step    open for 0s; 31m 40s left',
    'held-out     2.4000',
    'checkpoint   step 1000, 41s ago: runs/quickstart/step-001000',
    'losses       1, 1 recovered from; last: worker/1 was lost (signal SIGKILL) in step 300; it held stage/pp0/dp1; recovering',
    'layout       pp 1 × dp 2 × tp 1, ep 2, zero 1 on m0, m1',
    'relayouts    drain m2: step 901 opened after 2.1 s in the new layout, pp 1 × dp 2 × tp 1, ep 2, zero 1 on m0, m1',
    'second copy  6 of 8 shards; the rest come back from the last checkpoint',
    'workers      3 on 2 machines: worker/0 up, worker/1 restarting (life 2), worker/2 silent for 9s',
    'actors       2 expert serving, 2 stage forwarding',
    'experts      1 of 4 dead in the last 10 steps; hottest L1/e3 ×2.5',
    'waits        trainer waits for agent/0: votes and measures (step 1201) since 0.2 s',
  ]);
  const none = { tokensPerSecond: null, stepSeconds: null, kernelShare: null, secondsLeft: null, loss: null };
  const first = statusLines(
    status({ ...none, state: 'starting', step: 0, nodes: [], waits: [], checkpoint: null, lastFault: null }),
  );
  t.true(first.includes('checkpoint   none yet') && first.includes('losses       none'), first.join('\n'));
});

test('top: fits its screen, and an expert that nobody chose is seen', (t) => {
  t.is([0, 0.01, 0.5, 1, 1.9, 2, 40].map(bar).join(''), '·▁▂▄███');
  const layers = Array.from({ length: 40 }, (_, layer) => ({
    layer,
    loads: Array.from({ length: 128 }, (_, expert) => (expert % 5) / 2),
  }));
  const nodes = Array.from({ length: 40 }, (_, rank) => node(rank));
  for (const size of [
    { columns: 80, rows: 24 },
    { columns: 80, rows: 200 },
    { columns: 20, rows: 5 },
  ]) {
    const lines = topScreen(status({ nodes, experts: { steps: 10, layers } }), size);
    t.true(lines.length <= size.rows, `${lines.length} lines`);
    for (const line of lines) t.true(line.length <= size.columns, line);
  }
  const screen = topScreen(status(), { columns: 80, rows: 24 });
  t.deepEqual(screen.slice(0, 3), [
    'quickstart: running for 2m 10s, 31m 40s left   (q quits)',
    'step 1200/10000  loss 2.3457  6.54k tokens/s  0.21 s a step  kernels 61.2%',
    `${'━'.repeat(9)}${'─'.repeat(63)}  12.0%`,
  ]);
  t.is(screen.at(-1), 'L1   ▄▂·█  e3 ×2.5, even 40%, 1 dead');
  // Every expert is there, however many lines that takes.
  const lines = layerLines({ layer: 3, loads: Array.from({ length: 128 }, () => 1) }, 80);
  t.is(lines.join('').split('▄').length - 1, 128);
  t.is(
    topLine(status()),
    'step 1200/10000  loss 2.3457  6.54k tokens/s  0.21 s a step  kernels 61.2%  31m 40s left  hottest expert ×2.5  worker/1 restarting (life 2)  worker/2 silent for 9s',
  );
});

test('status: a run at rest says how it ended', (t) => {
  const rest = {
    step: 3,
    loss: 2,
    checkpoint: 'step-000002',
    exitCode: 76,
    reason: 'worker/0 was lost',
    at: 'T',
  };
  t.deepEqual(restLines('run', rest, null), [
    'run: not running',
    'ended        exit 76 (a worker was lost): worker/0 was lost, T',
    'last step    3, loss 2.0000',
    'checkpoint   run/step-000002',
    'go on with   npx troupe resume run',
  ]);
  const killed = { pid: 7, host: 'h' } as never;
  t.regex(
    restLines('run', { ...rest, exitCode: null, checkpoint: null }, killed)[1] ?? '',
    /killed: process 7 on h is gone/,
  );
});

test.serial(
  'operate: a run in the background is looked at, stopped and goes on, and leaves nothing behind',
  async (t) => {
    const { folder: cwd, path } = workplace(t);
    const run = (...args: readonly string[]) => runCli(args, { cwd });
    // A start that fails is told by who asked for it.
    const failed = await run('launch', 'small.yaml', '--detach', '--set', 'data.text=none.txt');
    t.is(failed.code, 1, failed.stderr);
    t.regex(failed.stderr, /none\.txt/);
    t.false(existsSync(path('run')));

    const launched = await run('launch', 'endless.yaml', '--detach', '--json');
    t.is(launched.code, 0, launched.stderr);
    const [{ pid, folder } = {}] = jsonLines(launched.stdout);
    t.is(folder, 'run');
    const followed = new CliProcess(['logs', 'run', '--follow'], { cwd });
    await followed.line(/ lead {4}step \d+\/100000 {2}loss /);
    const looked = await run('status', 'run', '--json');
    const [seen] = jsonLines(looked.stdout);
    t.like(seen, { event: 'status', running: true, state: 'running', pid, name: 'small', losses: 0 });
    t.is((seen?.['nodes'] as readonly unknown[] | undefined)?.length, 2);
    const top = new CliProcess(['top', 'run', '--every', '0.2'], { cwd });
    await top.line(/^step \d+\/100000 {2}loss .*hottest expert/);
    // Its reader leaves after a line, and it with him.
    const under = ['timeout', '30', 'bash', '-c', '"$@" | head -n 1', 'bash'];
    const read = await runCli(['top', 'run', '--every', '0.2'], { cwd, under });
    t.is(read.code, 0, 'top ends when nobody reads it');
    const stopped = await run('stop', 'run');
    t.is(stopped.code, 0, stopped.stderr);
    t.regex(
      stopped.stdout,
      /told to finish.*\nrun: not running\nended .*exit 130 \(interrupted\)(?:.*\n)*checkpoint {3}run\/step-\d{6}\n/,
    );
    t.deepEqual(waitForDeath([Number(pid)], 0), [], 'stop waits for the end');
    t.regex((await top.result).stdout, /run: not running\n/);
    const { code, stdout } = await followed.result;
    t.is(code, 0);
    t.regex(stdout, /told to end, by troupe stop\n(?:.*\n)*.*exit 130 \(interrupted\): after step \d+/);
    t.false(existsSync(path('run/control.json')));
  },
);

test.serial(
  'operate: a run that was killed is known as such, and --now ends one that stands still',
  async (t) => {
    const { folder: cwd, path } = workplace(t);
    const cli = new CliProcess(['launch', 'endless.yaml', '--json'], { cwd });
    await cli.line(/"event":"step"/);
    const workers = cli.children();
    for (const pid of workers) process.kill(pid, 'SIGSTOP');
    const stopped = await runCli(['stop', 'run', '--now'], { cwd });
    t.regex(stopped.stdout, /told to end at once\n/);
    t.is((await cli.result).code, 130);
    t.deepEqual(waitForDeath(workers, 5000), []);

    const second = new CliProcess(['launch', 'endless.yaml', '--json'], { cwd });
    await second.line(/"event":"step"/);
    const place = readFileSync(path('run-2/control.json'));
    second.signal('SIGKILL');
    await second.result;
    t.deepEqual(readFileSync(path('run-2/control.json')), place);
    const seen = await runCli(['status', 'run-2'], { cwd });
    t.is(seen.code, 0);
    t.regex(
      seen.stdout,
      new RegExp(
        `run-2: not running\\nended +killed: process ${second.pid} on .* is gone without a last word`,
      ),
    );
  },
);
