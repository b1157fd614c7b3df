import test from 'ava';
import { nodeId, silentLogger, TroupeError } from '@troupe/core';
import { leadNode, resolveTopology } from '@troupe/topology';
import { jobOf } from '../job.ts';
import { createJobSystem } from '../job-system.ts';
import { localLives } from './lives.ts';
import type { ExitHandler, Processes } from './processes.ts';
import { homeOf } from '../launch/homes.ts';
import { reportsOf } from './reports.ts';
import { Run } from './run.ts';

const topology = resolveTopology({
  model: { vocab: 64, layers: 1, dModel: 16, heads: 2, seqLen: 8 },
  data: { synthetic: 'zipf' },
  train: { batch: 2 },
  parallel: { dp: 2 },
});
const job = jobOf(topology, {
  stopAfter: 1,
  first: { step: 0, adamClock: 0 },
  evaluationSequences: 0,
  checkpoints: false,
});

/** A run over processes whose workers never say a word, and what was asked of its ports, in order. */
function silentRun(report: () => unknown = () => {}) {
  const asked: string[] = [];
  const lives = localLives();
  const life = lives.open(leadNode, 1);
  // They can be reached.
  for (let rank = 0; rank < 2; rank++) lives.open(nodeId(`worker/${rank}`), 1);
  const lead = createJobSystem({
    node: nodeId(leadNode),
    topology,
    reports: reportsOf(job.layout, leadNode),
    home: homeOf(topology, 'beside the lead'),
    logger: silentLogger,
    clock: life.clock,
    transport: life.transport,
    schedule: life.schedule,
  });
  const heard: ExitHandler[] = [];
  const processes: Processes = {
    lead,
    restartsAgents: false,
    storeIsBesideLead: true,
    agentOf: () => lead,
    beginAgent: (_machine, _incarnation, begun) => begun(lead),
    begin: (worker, incarnation) => void asked.push(`begin ${worker} ${incarnation}`),
    end: async () => {
      lead.stop();
      await new Promise((resolve) => setImmediate(resolve));
      asked.push('end');
    },
    onExit: (handler) => void heard.push(handler),
  };
  const note = (what: string) => async (): Promise<void> => void asked.push(what);
  const run = new Run(topology, {
    processes,
    lock: { release: note('unlock'), remove: note('remove') },
    metrics: null,
    report,
    reportName: 'the option report',
    errorOf: ({ code, message, retryable }) => new TroupeError(code, message, { retryable }),
    watch: { heartbeatMs: 60_000, silenceMs: 600_000 },
    position: (step) => `after step ${step}`,
  });
  const start = (): void =>
    run.start({
      job,
      peakFlops: null,
      store: {
        storage: null,
        folder: '',
        keep: 1,
        tokenizer: null,
        corpusSha256: null,
        resumeFrom: null,
      },
    });
  return {
    run,
    start,
    asked,
    lose: (rank: number) => heard[0]?.(nodeId(`worker/${rank}`), 1, 'signal SIGKILL'),
  };
}

test('run: ONE-1, the first result counts, whatever comes after it', async (t) => {
  const { run, start } = silentRun();
  start();
  run.fail(new TroupeError('TROUPE_RUN_STUCK', 'first'));
  run.fail(new TroupeError('TROUPE_RUN_LOCKED', 'second'));
  run.stop('terminated');
  await run.abort();
  const { error, exitCode } = await run.result;
  t.is(error?.message, 'first');
  t.is(exitCode, 76);
});

test('run: ONE-2, when the result settles every process has ended and the lock is given back, in this order', async (t) => {
  const { run, start, asked } = silentRun();
  start();
  t.deepEqual(asked, ['begin 0 1', 'begin 1 1']);
  run.fail(new TroupeError('TROUPE_RUN_STUCK', 'over'));
  await run.result;
  t.deepEqual(asked, ['begin 0 1', 'begin 1 1', 'end', 'unlock']);
});

test('run: a worker that ends is restarted, as its next life', async (t) => {
  const { run, start, asked, lose } = silentRun();
  start();
  lose(1);
  for (let turn = 0; turn < 20 && !asked.includes('begin 1 2'); turn++)
    await new Promise((resolve) => setImmediate(resolve));
  t.deepEqual(asked, ['begin 0 1', 'begin 1 1', 'begin 1 2']);
  await run.abort();
  lose(0);
  t.is(asked.at(-1), 'unlock');
});

test('run: one that was over before it could start begins nothing', async (t) => {
  const boom = new Error('boom');
  const { run, start, asked } = silentRun(() => {
    throw boom;
  });
  run.report({ event: 'warning', message: 'odd data' });
  start();
  const { error } = await run.result;
  t.is(error?.code, 'TROUPE_USER_CODE');
  t.is(error?.cause, boom);
  t.deepEqual(asked, ['end', 'unlock']);
});

test('run: stopped before it starts, it ends with the code of the reason', async (t) => {
  const { run } = silentRun();
  run.stop('terminated');
  t.deepEqual(await run.result, { exitCode: 143, step: 0, loss: null, error: null });
});
