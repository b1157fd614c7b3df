import test from 'ava';
import { silentLogger } from '@troupe/core';
import { resolveTopology } from '@troupe/topology';
import { ForkedProcesses } from './forked-processes.ts';

const topology = resolveTopology({
  model: { vocab: 64, layers: 1, dModel: 16, heads: 2, seqLen: 8 },
  data: { synthetic: 'zipf' },
  train: { batch: 2 },
  parallel: { dp: 2 },
});

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

test.serial(
  'forked processes: ended while they boot, they leave nothing, and nobody waits for them',
  async (t) => {
    const processes = new ForkedProcesses(topology, {
      logLevel: 'silent',
      logger: silentLogger,
      recorder: null,
      unjudged: (error) => t.fail(error.message),
      ready: () => t.fail('no worker was configured'),
      evaluating: () => {},
    });
    await processes.boot();
    const connecting = processes.connect();
    const pids = [...processes.pids];
    t.is(pids.length, 2);
    t.true(pids.every(isAlive));
    await processes.end();
    await connecting;
    t.false(pids.some(isAlive));
  },
);

test.serial('forked processes: a worker that ends while it boots is the error of the start', async (t) => {
  const processes = new ForkedProcesses(topology, {
    logLevel: 'silent',
    logger: silentLogger,
    recorder: null,
    unjudged: () => {},
    ready: () => {},
    evaluating: () => {},
  });
  await processes.boot();
  process.kill(processes.pids[1] ?? NaN, 'SIGKILL');
  await t.throwsAsync(processes.connect(), {
    code: 'TROUPE_WORKER_LOST',
    message: 'worker/1 ended (signal SIGKILL) before the run began',
  });
  await processes.end();
});
