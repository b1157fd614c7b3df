import { once } from 'node:events';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { CliProcess, jsonLines, runCli, waitForDeath, type CliResult } from './testing/cli-process.ts';
import { workplace, type Workplace } from './testing/workplace.ts';

/** Every machine of a run, as something else than troupe starts it: a place with a key, and an environment each. */
interface Place extends Workplace {
  readonly env: Readonly<Record<string, string>>;
  /** Where nobody listens yet. */
  readonly port: number;
}

async function place(t: ExecutionContext): Promise<Place> {
  const work = workplace(t);
  const { code } = await runCli(['key', 'new', 'run.key'], { cwd: work.folder });
  t.is(code, 0);
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return { ...work, env: { TROUPE_KEY_FILE: work.path('run.key') }, port };
}

/** Two machines in place of the file's one. */
const two = ['--set', 'machines={count: 2, devices: [cpu:0]}'];

/** Losses that a run has written down, as they are there. */
const lossesIn = (path: string): readonly unknown[] =>
  jsonLines(readFileSync(path, 'utf8'))
    .filter(({ event }) => event === 'step')
    .map(({ step, loss }) => [step, loss]);

const torch = (rank: number) => ({ RANK: `${rank}`, WORLD_SIZE: '2', MASTER_ADDR: '127.0.0.1' });
const pet = (rank: number) => ({
  PET_NODE_RANK: `${rank}`,
  PET_NNODES: '2',
  PET_MASTER_ADDR: '127.0.0.1',
});

test.serial(
  'agent: machines of torchrun compute what one process does, and are told nothing secret',
  async (t) => {
    const { folder: cwd, path, env, port } = await place(t);
    const key = readFileSync(path('run.key'), 'utf8').trim().split(' ')[1] ?? '';
    t.is(key.length, 43);
    const agent = (rank: number): CliProcess =>
      new CliProcess(['agent', 'small.yaml', ...two, '--lead', `127.0.0.1:${port}`], {
        cwd,
        env: { ...env, ...(rank === 0 ? torch(0) : pet(1)) },
      });
    const [lead, other] = [agent(0), agent(1)];
    await lead.line(/^step 1\/8 /u);
    const workers = [...lead.children().flatMap((pid) => lead.children(pid)), ...other.children()];
    t.true(workers.length >= 2);
    for (const pid of workers) t.notRegex(toldTo(pid), new RegExp(`${key}|TROUPE_KEY`, 'u'));
    for (const pid of [lead.pid, other.pid]) t.notRegex(toldTo(pid), new RegExp(key, 'u'));
    const [first, second] = await Promise.all([lead.result, other.result]);
    t.is(first.code, 0, first.stderr);
    t.is(second.code, 0, second.stderr);
    t.regex(
      first.stderr,
      /^troupe agent: machine 0 of 2, lead on 127\.0\.0\.1 \(by RANK, WORLD_SIZE, --lead\)$/mu,
    );
    t.regex(second.stderr, /machine 1 of 2, lead on 127\.0\.0\.1 \(by PET_NODE_RANK, PET_NNODES, --lead\)/u);
    t.regex(second.stderr, /the run has ended with 0/u);
    const one = await runCli(['launch', 'small.yaml', '--run-dir', 'one', '--quiet'], { cwd });
    t.is(one.code, 0, one.stderr);
    t.deepEqual(lossesIn(path('run/metrics.jsonl')), lossesIn(path('one/metrics.jsonl')));
  },
);

/** What a process was told when it began: its command line, and its environment. */
const toldTo = (pid: number): string =>
  ['cmdline', 'environ'].map((file) => readFileSync(`/proc/${pid}/${file}`, 'utf8')).join('\n');

test.serial(
  'agent: pods that are killed, stopped and started again go on, and end as the run did',
  async (t) => {
    const { folder: cwd, path, env, port } = await place(t);
    const pod = (index: number): CliProcess =>
      new CliProcess(
        [
          'agent',
          'endless.yaml',
          ...two,
          '--set',
          'checkpoint.every=10',
          '--stop-after',
          '40',
          '--of',
          '2',
          '--lead',
          `127.0.0.1:${port}`,
          '--run-dir',
          'run',
        ],
        { cwd, env: { ...env, JOB_COMPLETION_INDEX: `${index}`, HOSTNAME: `job-${index}` } },
      );
    let [lead, other] = [pod(0), pod(1)];
    await lead.line(/^step \d+\/100000 /u);
    const workers = other.children();
    other.signal('SIGKILL');
    await other.result;
    other = pod(1);
    t.deepEqual(waitForDeath(workers, 5000), []);
    await lead.line(/checkpoint run\/step-000010/u);
    lead.signal('SIGTERM');
    const ends = async (): Promise<readonly [CliResult, CliResult]> => [
      await lead.result,
      await other.result,
    ];
    for (const { code, stderr } of await ends()) t.is(code, 143, stderr);
    [lead, other] = [pod(0), pod(1)];
    const [again] = await ends();
    t.is(again.code, 0, again.stderr);
    t.regex(again.stdout, /on from run\/step-0000\d\d/u);
    // One whose pod comes back has only what the folder says.
    const late = await pod(1).result;
    t.is(late.code, 0, late.stderr);
    t.regex(late.stderr, /the run in run has ended with 0/u);
    const one = await runCli(
      ['launch', 'endless.yaml', '--run-dir', 'one', '--stop-after', '40', '--quiet'],
      { cwd },
    );
    t.is(one.code, 0, one.stderr);
    const last = new Map(lossesIn(path('run/metrics.jsonl')) as readonly (readonly [number, number])[]);
    t.deepEqual([...last], lossesIn(path('one/metrics.jsonl')));
  },
);

test('agent: what it lacks is said in a sentence, with exit 2', async (t) => {
  const { folder: cwd, path, env } = await place(t);
  const line = ['agent', 'small.yaml', ...two];
  const refused = async (
    args: readonly string[],
    given: Readonly<Record<string, string>>,
  ): Promise<string> => {
    const { code, stderr } = await runCli(args, { cwd, env: given });
    t.is(code, 2, stderr);
    return stderr;
  };
  t.regex(await refused(line, torch(0)), /TROUPE_KEY_FILE names no key file.*troupe key new FILE/u);
  t.regex(await refused(line, env), /does not say which machine this is; say it with --machine/u);
  t.regex(
    await refused(line, { ...env, ...torch(3) }),
    /RANK says machine 3, and WORLD_SIZE only 2 machines/u,
  );
  t.regex(
    await refused(line, { ...env, ...torch(0), WORLD_SIZE: '3' }),
    /the topology has 2 machines, and 3 were started/u,
  );
  t.regex(
    await refused([...line, '--lead', 'a:b:c'], { ...env, ...torch(0) }),
    /--lead is 'a:b:c', expected HOST/u,
  );
  t.regex(
    await refused(['agent', '--machine', '1'], env),
    /--machine goes with a topology: troupe agent FILE/u,
  );
  t.regex(
    await refused(['launch', 'small.yaml', ...two, '--set', 'launcher={kind: dial}'], env),
    /troupe agent FILE on each/u,
  );
  mkdirSync(path('keys'));
  writeFileSync(path('keys/open.key'), 'troupe-key-1 x\n', { mode: 0o644 });
  t.regex(
    await refused(line, { ...torch(0), TROUPE_KEY_FILE: path('keys/open.key') }),
    /others can read the key file .*mode 0644/u,
  );
});

test('agent: a further process of a machine leaves at once', async (t) => {
  const { folder: cwd, env } = await place(t);
  const further = {
    ...torch(1),
    GROUP_RANK: '0',
    GROUP_WORLD_SIZE: '2',
    LOCAL_RANK: '1',
    LOCAL_WORLD_SIZE: '2',
  };
  const { code, stderr } = await runCli(['agent', 'small.yaml', ...two], {
    cwd,
    env: { ...env, ...further },
  });
  t.is(code, 0, stderr);
  t.regex(stderr, /another process of this machine is its agent/u);
});

test('agent: a run that failed for good is not begun again, and one without a checkpoint is put aside', async (t) => {
  const { folder: cwd, path, env, port } = await place(t);
  mkdirSync(path('run'));
  const write = (exitCode: number): void =>
    writeFileSync(path('run/metrics.jsonl'), `${JSON.stringify({ event: 'done', steps: 0, exitCode })}\n`);
  const alone = ['--set', 'machines={count: 1, devices: [cpu:0, cpu:1]}', '--stop-after', '1'];
  const lead = (): Promise<CliResult> =>
    runCli(
      [
        'agent',
        'small.yaml',
        ...alone,
        '--machine',
        '0',
        '--of',
        '1',
        '--lead',
        `127.0.0.1:${port}`,
        '--run-dir',
        'run',
      ],
      { cwd, env },
    );
  write(5);
  t.is((await lead()).code, 5);
  write(76);
  const { code, stderr } = await lead();
  t.is(code, 0, stderr);
  renameSync(path('run.without-checkpoint-0'), path('seen'));
});
