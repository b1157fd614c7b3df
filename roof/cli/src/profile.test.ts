import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import test from 'ava';
import type { ProfileEvent, TraceEvent } from '@troupe/telemetry';
import { alive, CliProcess, jsonLines, runCli } from './testing/cli-process.ts';
import { longTest } from './testing/long-test.ts';
import { workplace } from './testing/workplace.ts';

type Slice = Extract<TraceEvent, { ph: 'X' }>;
type Arrow = Extract<TraceEvent, { ph: 's' | 'f' }>;

/** A trace as a viewer reads it. */
function readTrace(path: string): readonly TraceEvent[] {
  const bytes = readFileSync(path);
  return JSON.parse((path.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8')) as TraceEvent[];
}

const slices = (events: readonly TraceEvent[]): readonly Slice[] =>
  events.filter((event): event is Slice => event.ph === 'X');
const arrows = (events: readonly TraceEvent[], end: 's' | 'f'): readonly Arrow[] =>
  events.filter((event): event is Arrow => event.ph === end);

const named = (events: readonly TraceEvent[], name: 'process_name' | 'thread_name') =>
  events.flatMap((event) =>
    event.ph === 'M' && event.name === name
      ? [{ pid: event.pid, tid: event.tid, name: String(event.args['name']) }]
      : [],
  );

function byRow(events: readonly Slice[]): ReadonlyMap<string, readonly Slice[]> {
  const rows = new Map<string, Slice[]>();
  for (const slice of events) {
    const key = `${slice.pid}/${slice.tid}`;
    rows.set(key, [...(rows.get(key) ?? []), slice]);
  }
  return rows;
}

/** The first slice that ends behind the one it begins in; null when all nest. Ends are sums of rounded numbers. */
function overlap(row: readonly Slice[]): readonly [Slice, Slice] | null {
  const open: Slice[] = [];
  for (const slice of [...row].sort((a, b) => a.ts - b.ts || b.dur - a.dur)) {
    while ((open.at(-1)?.ts ?? 0) + (open.at(-1)?.dur ?? 0) <= slice.ts + 1e-3 && open.length > 0) open.pop();
    const around = open.at(-1);
    if (around !== undefined && slice.ts + slice.dur > around.ts + around.dur + 1e-3) return [around, slice];
    open.push(slice);
  }
  return null;
}

const profileOf = (stdout: string): ProfileEvent =>
  jsonLines(stdout).find(({ event }) => event === 'profile') as unknown as ProfileEvent;
const losses = (stdout: string): readonly unknown[] =>
  jsonLines(stdout).flatMap(({ event, loss, gradNorm }) => (event === 'step' ? [loss, gradNorm] : []));

const near = (a: number, b: number): boolean => Math.abs(a - b) <= 1e-6 * Math.max(1, Math.abs(b));

test.serial('profile: slices nest, kernels fit their time, arrows join two processes in order', async (t) => {
  const { folder, path } = workplace(t);
  const { code, stdout, stderr } = await runCli(['launch', 'small.yaml', '--profile', '--json'], {
    cwd: folder,
  });
  t.is(code, 0, stderr);
  const profile = profileOf(stdout);
  t.is(profile.path, 'run/profile.json.gz');
  t.deepEqual(profile.steps, { first: 3, last: 8 });
  t.deepEqual(profile.truncated, []);
  const events = readTrace(path(profile.path));
  t.is(events.length, profile.traceEvents);

  const processes = named(events, 'process_name');
  t.deepEqual(
    processes.map(({ name }) => name.replace(/[:( ].*$/u, '')),
    ['lead/0', 'worker/0', 'worker/1'],
  );
  const rows = named(events, 'thread_name');
  const [, worker] = processes;
  const ofWorker = rows.filter(({ pid }) => pid === worker?.pid).map(({ name }) => name);
  for (const name of ['device thread 0', 'event loop', 'stage/pp0/dp0/tp0', 'expert/L1/ep0/edp0'])
    t.true(ofWorker.includes(name), `${name} in ${ofWorker.join(', ')}`);

  for (const event of events) {
    if (event.ph === 'M') continue;
    t.true(Number.isFinite(event.ts) && event.ts >= 0, JSON.stringify(event));
    if ('tid' in event)
      t.true(
        rows.some(({ pid, tid }) => pid === event.pid && tid === event.tid),
        JSON.stringify(event),
      );
    if (event.ph === 'X') t.true(event.dur >= 0);
  }
  for (const row of byRow(slices(events)).values()) t.is(overlap(row), null);

  const kernels = slices(events).filter(({ cat }) => cat === 'kernel');
  t.true(kernels.length > 100);
  for (const row of byRow(kernels).values()) {
    const busy = row.reduce((sum, { dur }) => sum + dur, 0);
    const from = Math.min(...row.map(({ ts }) => ts));
    const to = Math.max(...row.map(({ ts, dur }) => ts + dur));
    t.true(busy <= to - from + 1e-3, `${busy} of ${to - from} µs`);
  }
  const expert = kernels.find(({ name }) => name === 'experts.forward');
  t.true((expert?.args?.['flops'] as number) > 0 && (expert?.args?.['bytes'] as number) > 0);

  const [starts, ends] = [arrows(events, 's'), arrows(events, 'f')];
  const ids = (ends: readonly Arrow[]): readonly number[] => ends.map(({ id }) => id).sort((a, b) => a - b);
  t.deepEqual(ids(starts), ids(ends));
  t.is(new Set(ids(starts)).size, starts.length);
  t.is(profile.arrows, starts.length);
  const ending = new Map(ends.map((end) => [end.id, end]));
  for (const start of starts) {
    const end = ending.get(start.id);
    t.not(end?.pid, start.pid);
    t.is(end?.name, start.name);
    const late = (end?.ts ?? Number.NaN) - start.ts;
    t.true(late >= 0, `${start.name} is handled ${late} µs after it was sent: clocks are one`);
  }
  // Rows went both ways, with sizes.
  const rowsSent = starts.filter(({ name }) => name === 'rows.dispatch');
  t.deepEqual(new Set(rowsSent.map(({ pid }) => pid)).size, 2);
  t.true(rowsSent.every(({ args }) => (args?.['bytes'] as number) > 0));
  // An arrow begins and ends inside a slice of its row, or it hangs in the air.
  for (const arrow of [...starts, ...ends])
    t.true(
      slices(events).some(
        ({ pid, tid, ts, dur }) =>
          pid === arrow.pid && tid === arrow.tid && ts <= arrow.ts && arrow.ts <= ts + dur + 1e-3,
      ),
    );

  const { shares, stepMs, lines } = profile;
  t.true(near(shares.kernels + shares.messages + shares.eventLoop + shares.idle, stepMs));
  t.true(
    near(
      lines.reduce((sum, line) => sum + line.ms, 0),
      shares.kernels,
    ),
  );
  t.true(Object.values(shares).every((share) => share >= 0));
  t.true(shares.kernels > 0 && shares.eventLoop > 0);
  const steps = jsonLines(stdout).filter(({ event, step }) => event === 'step' && (step as number) >= 3);
  const mean =
    steps.reduce((sum, each) => sum + (each['tokens'] as number) / (each['tokensPerSecond'] as number), 0) /
    steps.length;
  t.true(near(stepMs / 1000, mean), `${stepMs} ms, ${mean} s`);
  t.deepEqual(
    readdirSync(path('run')).filter((name) => /part|pending/u.test(name)),
    [],
  );
});

longTest('profile: no bit of a run changes with it, in any layout', async (t) => {
  const { folder } = workplace(t);
  const oneWorker = [
    '--set',
    'parallel.dp=1',
    '--set',
    'parallel.ep=1',
    '--set',
    'machines=[{host: localhost, devices: ["cpu:0/threads=2"]}]',
  ];
  const launch = async (...flags: readonly string[]): Promise<readonly unknown[]> => {
    const args = ['launch', 'small.yaml', '--json', '--no-checkpoint', '--stop-after', '4', ...flags];
    const { code, stdout, stderr } = await runCli(args, { cwd: folder });
    t.is(code, 0, stderr);
    return losses(stdout);
  };
  const plain = await launch();
  t.is(plain.length, 8);
  t.deepEqual(await launch('--profile', '--profile-steps', '2..3'), plain);
  t.deepEqual(await launch('--profile', ...oneWorker), plain);
});

test.serial('profile: the steps asked for, in the file asked for, and a table that adds up', async (t) => {
  const { folder, path } = workplace(t);
  writeFileSync(path('trace.json'), 'an earlier one');
  const args = [
    'launch',
    'small.yaml',
    '--no-checkpoint',
    '--profile',
    'trace.json',
    '--profile-steps',
    '2..4',
  ];
  const { code, stdout, stderr } = await runCli(args, { cwd: folder });
  t.is(code, 0, stderr);
  const steps = slices(readTrace(path('trace.json'))).filter(({ cat }) => cat === 'step');
  t.deepEqual(
    steps.map(({ name }) => name),
    ['step 2', 'step 3', 'step 4'],
  );
  t.regex(
    stdout,
    /^profile {8}trace\.json: \d+ events, \d+ messages; open it at https:\/\/ui\.perfetto\.dev$/m,
  );
  t.regex(
    stdout,
    /steps 2 to 4, 2 devices; .*: kernels [\d.]+%, waiting for messages [\d.]+%, event loop [\d.]+%, idle [\d.]+%$/m,
  );
  t.regex(stdout, /^ {2}op +shape +calls +ms +share +speed +of rate +bound by$/m);
  const table = stdout
    .slice(stdout.indexOf('  op  '), stdout.indexOf('  calls and ms'))
    .trimEnd()
    .split('\n');
  t.is(table.length, 1 + 10 + 3);
  const shareOf = (line: string): number => Number(/([\d.]+)%/u.exec(line)?.[1]);
  const sum = table.slice(1, -1).reduce((total, line) => total + shareOf(line), 0);
  t.true(Math.abs(sum - 100) < 1, `${sum} %`);
  t.is(shareOf(table.at(-1) ?? ''), 100);
});

test.serial('profile: Ctrl-C still writes it', async (t) => {
  const { folder, path } = workplace(t);
  const args = ['launch', 'endless.yaml', '--json', '--profile', '--profile-steps', '2..100000'];
  const cli = new CliProcess(args, { cwd: folder });
  await cli.line(/"event":"step","step":4,/);
  cli.signal('SIGINT');
  const { code, stdout, stderr } = await cli.result;
  t.is(code, 130, stderr);
  const profile = profileOf(stdout);
  const done = jsonLines(stdout).at(-1);
  t.is(done?.['event'], 'done');
  t.deepEqual(profile.steps, { first: 2, last: done?.['steps'] as number });
  t.deepEqual(profile.truncated, []);
  t.is(readTrace(path('run/profile.json.gz')).length, profile.traceEvents);
});

test.serial('profile: what a killed worker had written is in it, and it says who is cut short', async (t) => {
  const { folder, path } = workplace(t);
  const noRecovery = ['--set', 'recovery.losses=0'];
  const args = [
    'launch',
    'endless.yaml',
    '--json',
    '--profile',
    '--profile-steps',
    '1..100000',
    ...noRecovery,
  ];
  const cli = new CliProcess(args, { cwd: folder });
  // A worker writes in pieces; by then it has written some.
  await cli.line(/"event":"step","step":40,/);
  process.kill(cli.children()[1] ?? NaN, 'SIGKILL');
  const { code, stdout } = await cli.result;
  t.is(code, 76);
  t.deepEqual(alive(cli.children()), []);
  const { truncated } = profileOf(stdout);
  t.is(truncated.length, 1);
  t.regex(truncated[0] ?? '', /^worker\/[01]$/);
  const pids = new Set(slices(readTrace(path('run/profile.json.gz'))).map(({ pid }) => pid));
  t.deepEqual(pids, new Set([1, 2, 3]));
});

longTest('profile: a worker that comes back goes on in its rows, which still nest', async (t) => {
  const { folder, path } = workplace(t);
  const args = ['launch', 'endless.yaml', '--profile', 'trace.json', '--profile-steps', '1..100000'];
  const cli = new CliProcess([...args, '--set', 'checkpoint.every=1'], { cwd: folder });
  await cli.line(/: checkpoint /);
  process.kill(cli.children()[1] ?? NaN, 'SIGKILL');
  await cli.line(/^worker\/\d is back after/);
  await cli.line(/: checkpoint /);
  cli.signal('SIGINT');
  const { code, stdout, stderr } = await cli.result;
  t.is(code, 130, stderr);
  t.regex(stdout, /cut short: worker\/\d$/m);
  const events = readTrace(path('trace.json'));
  t.is(new Set(named(events, 'process_name').map(({ pid }) => pid)).size, 3);
  for (const row of byRow(slices(events)).values()) t.is(overlap(row), null);
});

const refused: readonly (readonly [flags: readonly string[], message: RegExp])[] = [
  [['--profile-steps', '2..3'], /--profile-steps says which steps --profile records; add --profile/],
  [['--profile', '--profile-steps', 'all'], /'all' is invalid.*expected two steps/],
  [['--profile', '--profile-steps', '0..3'], /'0\.\.3' is invalid/],
  [['--profile', '--profile-steps', '5..3'], /'5\.\.3' is invalid/],
  [['--profile', '--profile-steps', '9..12'], /9\.\.12: this run makes steps 1 to 8/],
  [['--profile', 'trace.pb'], /'trace\.pb' is neither \.json nor \.json\.gz/],
  [['--profile', 'nowhere/trace.json'], /there is no folder 'nowhere'/],
];

for (const [flags, message] of refused) {
  test.serial(`profile: refuses ${flags.join(' ')} before a run folder exists`, async (t) => {
    const { folder, path } = workplace(t);
    const { code, stderr } = await runCli(['launch', 'small.yaml', ...flags], { cwd: folder });
    t.is(code, 2);
    t.regex(stderr, message);
    t.false(existsSync(path('run')));
  });
}
