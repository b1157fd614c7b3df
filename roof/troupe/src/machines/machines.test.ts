import { readFileSync } from 'node:fs';
import test from 'ava';
import { resolveTopology } from '@troupe/topology';
import { launch, type Launch } from '../launch/launch.ts';
import type { RunResult } from '../run-result.ts';
import { startCluster } from '../start-cluster.ts';

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

/** The losses of a run in this process. */
async function curveOfOne(): Promise<Curve> {
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
async function launched(step: (step: number, run: Launch) => void = () => {}): Promise<{
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
    logLevel: (process.env['LOG'] ?? 'silent') as 'silent',
    peakFlops: null,
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
const parentOf = (pid: number): number => Number(statOf(pid)?.[1]);

test.serial(
  'machines: two agents compute what one process does, bit for bit, and nothing is left',
  async (t) => {
    const expected = await curveOfOne();
    const pids: number[] = [];
    const { run, losses, result } = await launched((_step, { workerPids }) => pids.push(...workerPids));
    const { error, exitCode } = await result;
    t.is(error, null);
    t.is(exitCode, 0);
    t.deepEqual(losses, expected);
    t.true(run.sent().messages > 20, 'agents tell what was sent');
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
      if (step === 2) process.kill(parentOf(workerPids[0] ?? NaN), 'SIGKILL');
    });
    const { error } = await result;
    t.is(error, null);
    t.deepEqual(losses.slice(-STEPS), expected);
    t.true(pids.size >= 3, 'the machine has a new worker');
    t.deepEqual([...pids].filter(isAlive), []);
  },
);
