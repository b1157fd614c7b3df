import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { assert } from '@troupe/core';
import { resolveTopology } from '@troupe/topology';
import type { LaunchOptions } from '../launch/launch-options.ts';
import { launch, type Launch } from '../launch/launch.ts';
import type { RunResult } from '../run-result.ts';
import { startCluster } from '../start-cluster.ts';
import { buildDifference, ownBuild } from './agent-protocol.ts';
import type { Launcher } from './launcher.ts';
import { localLauncher } from './local-launcher.ts';
import type { MachineKernels } from './machine-kernels.ts';
import { MachineRoll } from './machine-roll.ts';
import { LineError, lineOf, ProtocolLines } from './protocol-lines.ts';

const STEPS = 6;

const topologyOf = (parts: object) =>
  resolveTopology({
    model: { vocab: 64, layers: 2, dModel: 16, heads: 2, seqLen: 8, moe: { experts: 4 } },
    data: { synthetic: 'zipf' },
    train: { steps: STEPS, batch: 8, grains: 4 },
    parallel: { dp: 2, ep: 2 },
    ...parts,
  });
const two = { machines: { count: 2, devices: ['cpu:0'] }, launcher: { kind: 'local' } };

type Curve = readonly number[];

/** The losses of a run in this process, computed once. */
let curve: Promise<Curve> | null = null;
const curveOfOne = (): Promise<Curve> => (curve ??= computeCurve());
async function computeCurve(): Promise<Curve> {
  const losses: number[] = [];
  const run = await startCluster(topologyOf({}), {
    sink: (event) => {
      if (event.event === 'step') losses.push(event.loss);
    },
  });
  await run.result;
  return losses;
}

/** A run over two agents of this machine. */
async function launched(
  step: (step: number, run: Launch) => void = () => {},
  options: Partial<LaunchOptions> = {},
): Promise<{
  readonly run: Launch;
  readonly losses: number[];
  readonly result: Promise<RunResult>;
}> {
  const losses: number[] = [];
  let run: Launch | null = null;
  run = await launch(topologyOf(two), {
    checkpoints: null,
    report: (event) => {
      if (event.event !== 'step') return;
      losses.push(event.loss);
      if (run !== null) step(event.step, run);
    },
    logLevel: 'silent',
    peakFlops: null,
    ...options,
  });
  return { run, losses, result: run.result };
}

const statOf = (pid: number): readonly string[] | null => {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /u, '')
      .split(' ');
  } catch {
    return null;
  }
};
const isAlive = (pid: number): boolean => !['Z', undefined].includes(statOf(pid)?.[0]);
function parentOf(pid: number): number {
  const parent = Number(statOf(pid)?.[1]);
  assert(parent > 1, 'a worker has an agent', { pid });
  return parent;
}

/** Whether a condition holds, which is waited for. */
async function holdsWithin(seconds: number, condition: () => boolean): Promise<boolean> {
  const endMs = performance.now() + 1000 * seconds;
  while (!condition() && performance.now() < endMs) await new Promise((resolve) => setTimeout(resolve, 20));
  return condition();
}

test('lines: LIN-1, messages arrive whole wherever they are cut, and what else is printed is none', (t) => {
  const messages: object[] = [];
  const others: string[] = [];
  const sent = [{ type: 'leave' }, { type: 'here', hostname: 'Zürich\n@troupe {' }] as const;
  const bytes = Buffer.from(`module loaded\nno end${lineOf(sent[0])}\n${lineOf(sent[1])}{"type":"leave"}\n`);
  const lines = new ProtocolLines(
    (message) => messages.push(message),
    (line) => others.push(line),
  );
  for (let at = 0; at < bytes.length; at++) lines.push(bytes.subarray(at, at + 1));
  t.deepEqual(messages, [...sent]);
  t.deepEqual(others, ['module loaded', 'no end', '{"type":"leave"}']);
});

test('lines: LIN-1, what is damaged or too long is refused in one sentence', (t) => {
  const ignore = (): void => {};
  const read = (text: string): string => {
    const lines = new ProtocolLines(ignore, ignore, 100);
    return t.throws(() => lines.push(Buffer.from(text)), { instanceOf: LineError }).message;
  };
  t.is(read('@troupe {"type":"lea\n'), 'a line that is cut or damaged, of 20 characters');
  t.is(read('@troupe {"typ":"leave"}\n'), 'a line without a type');
  t.is(read(`@troupe ${'x'.repeat(200)}`), 'a line of more than 100 characters');
});

test('build: AGP-6, another Troupe, Node or protocol is named with both values', (t) => {
  const own = ownBuild(topologyOf({}));
  t.is(buildDifference(own, own), null);
  t.is(
    buildDifference({ ...own, troupe: '1.0.0' }, { ...own, troupe: '1.1.0', protocol: 9 }),
    `protocol is 9 there and ${own.protocol} with the lead; troupe is 1.1.0 there and 1.0.0 with the lead`,
  );
  const other = ownBuild(
    topologyOf({ train: { steps: STEPS, batch: 8, grains: 4, optimizer: { lr: 0.0031 } } }),
  );
  t.is(
    buildDifference(own, other),
    `numbers is ${other.numbers} there and ${own.numbers} with the lead`,
    'as another V8 may compute them',
  );
  t.is(
    buildDifference(own, ownBuild(topologyOf({}), 0)),
    null,
    'of a topology in another form none are computed',
  );
});

test('roll: AGP-6, two names of one machine are both named; agents of this one may share it', (t) => {
  const build = ownBuild(topologyOf({}));
  const here = (hostname: string, machineId: string | null) =>
    ({ type: 'here', build, kernels: null, hostname, machineId, pid: 2, cores: 1, memoryBytes: 1 }) as const;
  const roll = new MachineRoll(['gpu-1', 'gpu-2', '10.0.0.1'], build, false);
  t.is(roll.come(0, here('a', 'x')), null);
  t.is(roll.come(0, here('a', 'x')), null, 'its next life');
  t.is(roll.come(1, here('b', 'x')), null, 'a copy of its image');
  t.is(
    roll.come(2, here('a', 'x'))?.message,
    'gpu-1 and 10.0.0.1 are one machine (a); name it once, with the devices of both',
  );
  const local = new MachineRoll(['m0', 'm1'], build, true);
  local.come(0, here('a', 'x'));
  t.is(local.come(1, here('a', 'x')), null);
  const other = { ...here('a', 'x'), build: { ...build, troupe: '9' } };
  t.regex(local.come(1, other)?.message ?? '', /^m1 has other programs: troupe is 9 there and /);
});

const kernels = { asked: 'auto', body: 'native', value: 'aaaa', ops: { rope: '1', copy: '2' } };

test('roll: AGP-6, machines whose kernels compute other numbers are both named, with both values', (t) => {
  const build = ownBuild(topologyOf({}));
  const here = (own: MachineKernels | null) =>
    ({
      type: 'here',
      build,
      kernels: own,
      hostname: 'a',
      machineId: null,
      pid: 2,
      cores: 1,
      memoryBytes: 1,
    }) as const;
  const roll = new MachineRoll(['gpu-1', 'gpu-2', 'gpu-3', 'gpu-4', 'gpu-5'], build, false);
  t.is(roll.come(0, here(kernels)), null);
  t.is(roll.come(1, here(kernels)), null);
  t.is(roll.come(2, here({ ...kernels, asked: 'reference', value: 'bbbb' })), null, 'as was asked for');
  t.is(roll.come(3, here(null)), null, 'its workers say what is missing there');
  t.is(
    roll.come(4, here({ ...kernels, value: 'cccc', ops: { rope: '3', copy: '2' } }))?.message,
    'gpu-5 computes other numbers than gpu-1 in rope: its kernels give cccc by native, those of gpu-1 aaaa by native (body: auto); install the same on all machines',
  );
  t.is(
    roll.come(4, here({ ...kernels, body: 'tfjs', value: 'dddd', ops: {} }))?.message,
    'gpu-5 computes other numbers than gpu-1: its kernels give dddd by tfjs, those of gpu-1 aaaa by native (body: auto); install the same on all machines',
  );
});

test.serial(
  'machines: AGP-6, an agent whose kernels differ in a bit ends the run before it begins',
  async (t) => {
    const local = localLauncher();
    // What stands between changes what it says of its kernels, as another machine might say it.
    const program = `
    import { spawn } from 'node:child_process';
    const agent = spawn(process.argv[1], process.argv.slice(2), { stdio: ['pipe', 'pipe', 'inherit'] });
    process.stdin.pipe(agent.stdin);
    agent.stdout.setEncoding('utf8').on('data', (text) => process.stdout.write(text.replace(/"value":"[0-9a-f]/, '"value":"x')));
    agent.on('exit', (code) => process.exit(code));`;
    const launcher: Launcher = {
      ...local,
      command: (machine, host) => {
        const { file, args } = local.command(machine, host);
        return machine === 0
          ? { file, args }
          : { file, args: ['--input-type=module', '-e', program, file, ...args] };
      },
    };
    const error = await t.throwsAsync(launched(undefined, { launcher }));
    t.like(error, { code: 'TROUPE_MACHINE_DIFFERS' });
    t.regex(
      error?.message ?? '',
      /^m[01] computes other numbers than m[01].*: its kernels give [0-9a-fx]{16} by \w+, those of m[01] [0-9a-fx]{16} by \w+ \(body: auto\)/u,
    );
  },
);

test.serial(
  'machines: two agents compute what one process does, bit for bit, and nothing is left',
  async (t) => {
    const expected = await curveOfOne();
    const pids: number[] = [];
    const printed = new Map<string, string>();
    const { run, losses, result } = await launched((_step, { workerPids }) => pids.push(...workerPids), {
      logLevel: 'debug',
      printed: (node, text) => printed.set(node, `${printed.get(node) ?? ''}${text}`),
    });
    const { error, exitCode } = await result;
    t.is(error, null);
    t.is(exitCode, 0);
    for (const node of ['worker/0', 'worker/1', 'agent/0', 'agent/1'])
      t.true(printed.get(node)?.includes(`"node":"${node}"`), `LOG-4: lines of ${node} are under its name`);
    t.deepEqual(losses, expected);
    t.true(run.sent().messages > 100, 'agents tell what was sent');
    t.is(new Set(pids).size, 2);
    t.deepEqual(pids.filter(isAlive), []);
  },
);

test.serial(
  'machines: an agent that is killed is a lost machine, which comes back; the curve is the same',
  async (t) => {
    const expected = await curveOfOne();
    const pids = new Set<number>();
    const { losses, result } = await launched((step, { workerPids }) => {
      for (const pid of workerPids) pids.add(pid);
      if (step !== 2) return;
      const [worker] = workerPids;
      assert(worker !== undefined && worker > 1, 'its process is known');
      const agent = parentOf(worker);
      // One that stands still does not hear that its agent is gone.
      process.kill(worker, 'SIGSTOP');
      process.kill(agent, 'SIGKILL');
    });
    const { error } = await result;
    t.is(error, null);
    t.deepEqual(losses.slice(-STEPS), expected);
    t.true(pids.size >= 3, 'the machine has a new worker');
    t.deepEqual([...pids].filter(isAlive), []);
  },
);

test.serial(
  'machines: when the lead is killed nothing is left, also of a worker that stands still',
  async (t) => {
    const launchUrl = JSON.stringify(new URL('../launch/launch.js', import.meta.url).href);
    const { file } = topologyOf({ ...two, train: { steps: 100_000, batch: 8, grains: 4 } });
    const program = `
    import { launch } from ${launchUrl};
    import { resolveTopology } from '@troupe/topology';
    const report = ({ event }) => event === 'step' && console.log(JSON.stringify(run.workerPids));
    const options = { checkpoints: null, report, logLevel: 'silent', peakFlops: null };
    const run = await launch(resolveTopology(${JSON.stringify(file)}), options);`;
    const lead = spawn(process.execPath, ['--input-type=module', '-e', program], {
      cwd: fileURLToPath(new URL('.', import.meta.url)),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      const line = await new Promise<string>((resolve) => createInterface(lead.stdout).once('line', resolve));
      const workers = JSON.parse(line) as readonly number[];
      const all = [...workers, ...workers.map(parentOf)];
      t.is(all.filter(isAlive).length, 4);
      const [worker] = workers;
      assert(worker !== undefined && worker > 1, 'its process is known');
      process.kill(worker, 'SIGSTOP');
      lead.kill('SIGKILL');
      await holdsWithin(5, () => !all.some(isAlive));
      t.deepEqual(all.filter(isAlive), []);
    } finally {
      lead.kill('SIGKILL');
    }
  },
);
