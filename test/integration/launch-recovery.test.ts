import { existsSync, readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { RunEvent } from '@troupe/telemetry';
import {
  fileStorage,
  launch,
  loadTopology,
  startCluster,
  type ResolvedTopology,
  type RunResult,
} from 'troupe';
import { inPart } from '../mixtures/part.ts';

const STEPS = 16;

/** How the work is divided; default: one of everything. */
interface Division {
  readonly pp?: number;
  readonly dp?: number;
  readonly ep?: number;
  readonly zero: number;
}

/** A model small enough for a core to train in a blink, over real text. */
function divided({ pp = 1, dp = 1, ep = 1, zero }: Division, more: readonly string[] = []): ResolvedTopology {
  const devices = Array.from({ length: pp * dp }, (_, index) => `"cpu:${index}"`);
  const set = [
    'model.dModel=32',
    'model.layers=2',
    'model.seqLen=16',
    'model.ffn.dFf=48',
    `train.steps=${STEPS}`,
    'train.batch=8',
    'train.grains=4',
    'eval.every=8',
    'checkpoint.every=5',
    `parallel.pp=${pp}`,
    `parallel.dp=${dp}`,
    `parallel.ep=${ep}`,
    `parallel.zero=${zero}`,
    `machines=[{host: localhost, devices: [${devices.join(', ')}]}]`,
    ...more,
  ];
  return loadTopology('tiny', { set });
}

/** Two replicas. */
const layout = (ep: number, zero: number, more: readonly string[] = []): ResolvedTopology =>
  divided({ dp: 2, ep, zero }, more);

const curve = (events: readonly RunEvent[]): readonly string[] =>
  events.flatMap((event) => {
    if (event.event === 'step') return [`${event.step} ${event.loss} ${event.auxLoss} ${event.gradNorm}`];
    return event.event === 'eval' ? [`eval ${event.step} ${event.loss}`] : [];
  });

/** Signals that a run's workers get when it reports a step. */
interface Strike {
  readonly step: number;
  readonly rank: number;
  readonly signal: 'SIGKILL' | 'SIGSTOP';
}

interface Struck {
  readonly result: RunResult;
  readonly events: readonly RunEvent[];
  readonly pids: ReadonlySet<number>;
  readonly checkpoints: readonly string[];
}

async function struckRun(
  t: ExecutionContext,
  topology: ResolvedTopology,
  strikes: readonly Strike[],
): Promise<Struck> {
  const folder = await mkdtemp(join(tmpdir(), 'troupe-recovery-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const events: RunEvent[] = [];
  const pids = new Set<number>();
  const left = new Set(strikes);
  const run = await launch(topology, {
    checkpoints: { storage: fileStorage(folder), folder: 'run' },
    logLevel: 'silent',
    peakFlops: null,
    report: (event) => {
      events.push(event);
      if (event.event !== 'step') return;
      for (const strike of left) {
        if (strike.step !== event.step) continue;
        left.delete(strike);
        for (const pid of run.workerPids) pids.add(pid);
        process.kill(run.workerPids[strike.rank] ?? NaN, strike.signal);
      }
    },
  });
  const result = await run.result;
  for (const pid of run.workerPids) pids.add(pid);
  const written = join(folder, 'run');
  return { result, events, pids, checkpoints: existsSync(written) ? readdirSync(written) : [] };
}

const alive = (pids: Iterable<number>): readonly number[] =>
  [...pids].filter((pid) => {
    try {
      return process.kill(pid, 0);
    } catch {
      return false;
    }
  });

/** The same run in this process, which nothing strikes. */
async function undisturbed(topology: ResolvedTopology): Promise<readonly string[]> {
  const cluster = await startCluster(topology);
  const events: RunEvent[] = [];
  for await (const event of cluster.events()) events.push(event);
  return curve(events);
}

const cases: readonly {
  readonly name: string;
  readonly topology: ResolvedTopology;
  readonly strikes: readonly Strike[];
  readonly from: readonly ('peers' | 'snapshot' | 'seed')[];
  /** Step after which experts move. */
  readonly moves?: number;
}[] = [
  {
    name: 'killed, and then the other one; a peer holds all of its state',
    topology: layout(1, 0),
    strikes: [
      { step: 3, rank: 1, signal: 'SIGKILL' },
      { step: 7, rank: 0, signal: 'SIGKILL' },
    ],
    from: ['peers', 'peers'],
  },
  {
    name: 'killed before there is a checkpoint and after one; nobody else holds its experts',
    topology: layout(2, 1),
    strikes: [
      { step: 2, rank: 1, signal: 'SIGKILL' },
      { step: 12, rank: 1, signal: 'SIGKILL' },
    ],
    from: ['seed', 'snapshot'],
  },
  {
    name: 'killed, and then the other one; nobody else has its slices but their buddies',
    topology: layout(2, 1, ['recovery.buddies=true']),
    strikes: [
      { step: 3, rank: 1, signal: 'SIGKILL' },
      { step: 7, rank: 0, signal: 'SIGKILL' },
    ],
    from: ['peers', 'peers'],
  },
  {
    name: 'a stage, killed in steady 1F1B, and then the one before it; their buddies have all of theirs',
    topology: divided({ pp: 2, zero: 0 }, ['train.microbatches=4', 'recovery.buddies=true']),
    strikes: [
      { step: 4, rank: 1, signal: 'SIGKILL' },
      { step: 9, rank: 0, signal: 'SIGKILL' },
    ],
    from: ['peers', 'peers'],
  },
  {
    name: 'a stage, killed; another replica of it holds the same, but for its experts',
    topology: divided({ pp: 2, dp: 2, ep: 2, zero: 0 }, ['train.microbatches=2', 'recovery.buddies=true']),
    strikes: [{ step: 6, rank: 3, signal: 'SIGKILL' }],
    from: ['peers'],
  },
  {
    name: 'killed while gradients leave in buckets and weights are gathered; its buddy has its slices',
    topology: divided({ dp: 2, zero: 3 }, ['train.microbatches=2', 'recovery.buddies=true']),
    strikes: [{ step: 5, rank: 1, signal: 'SIGKILL' }],
    from: ['peers'],
  },
  {
    name: 'killed while hot experts are about to move, and then the other one; buddies move with them',
    topology: layout(2, 1, [
      'recovery.buddies=true',
      'parallel.experts=balanced',
      'parallel.rebalanceEvery=3',
      'model.moe={experts: 8, topK: 2, router: {choice: skewed}}',
    ]),
    strikes: [
      { step: 3, rank: 1, signal: 'SIGKILL' },
      { step: 8, rank: 0, signal: 'SIGKILL' },
    ],
    from: ['peers', 'peers'],
    moves: 3,
  },
  {
    name: 'stopped for good',
    topology: layout(1, 0),
    strikes: [{ step: 4, rank: 1, signal: 'SIGSTOP' }],
    from: ['peers'],
  },
];

// Every third one: of each kind of loss there are simulated ones beside it.
for (const { name, topology, strikes, from, moves } of inPart(cases)) {
  test.serial(`launch: a worker that is ${name}, changes no number`, async (t) => {
    const workers = topology.parallel.pp * topology.parallel.dp;
    const expected = await undisturbed(topology);
    t.is(expected.length, STEPS + 2);
    const { result, events, pids, checkpoints } = await struckRun(t, topology, strikes);
    t.is(result.error, null);
    t.is(result.exitCode, 0);
    t.deepEqual(curve(events), expected, 'every step is reported once');
    t.is(events.flatMap((event) => (event.event === 'experts' ? [event.step] : []))[0], moves);
    const recovered = events.flatMap((event) => (event.event === 'recovered' ? [event] : []));
    t.deepEqual(
      recovered.map((event) => event.from),
      from,
    );
    recovered.forEach((event, index) => {
      const strike = strikes[index]!;
      t.is(event.worker, `worker/${strike.rank}`);
      const repeated = event.from === 'peers' ? 0 : event.from === 'seed' ? strike.step : strike.step - 10;
      // Behind a snapshot, the step after the one that was reported may have been decided when the worker died.
      const decided = event.from === 'peers' ? 0 : 1;
      t.true(
        event.repeatedSteps >= repeated && event.repeatedSteps <= repeated + decided,
        `${event.repeatedSteps}`,
      );
      t.log(`${event.worker} back in ${event.ms.toFixed(0)} ms from ${event.from}`);
    });
    t.true(pids.size > workers, 'the lost worker is another process now');
    t.deepEqual(alive(pids), []);
    t.deepEqual(
      checkpoints.filter((each) => each.startsWith('step-')).toSorted(),
      ['step-000005', 'step-000010', 'step-000015', 'step-000016'].slice(-topology.checkpoint.keep),
    );
  });
}

test.serial('launch: one loss more than the limit ends the run with 76 and says so', async (t) => {
  const { result, events, pids } = await struckRun(t, layout(1, 0, ['recovery.losses=1']), [
    { step: 2, rank: 1, signal: 'SIGKILL' },
    { step: 4, rank: 0, signal: 'SIGKILL' },
  ]);
  t.is(result.exitCode, 76);
  t.is(result.error?.code, 'TROUPE_WORKER_LOST');
  t.regex(
    result.error?.message ?? '',
    /^worker\/0 was lost \(.+\) in step \d+; it held .*; that is loss 2 within 600 s, 1 tolerated$/,
  );
  t.is(events.filter(({ event }) => event === 'recovered').length, 1);
  t.deepEqual(alive(pids), []);
});
