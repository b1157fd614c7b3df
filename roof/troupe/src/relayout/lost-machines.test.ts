import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { assert } from '@troupe/core';
import type { RelayoutEvent, RunEvent } from '@troupe/telemetry';
import { resolveTopology } from '@troupe/topology';
import { launch, type Launch } from '../launch/launch.ts';
import type { Launcher } from '../machines/launcher.ts';
import { localLauncher } from '../machines/local-launcher.ts';
import { fileStorage } from '../ports/file-storage.ts';
import type { RunResult } from '../run-result.ts';
import { startCluster } from '../start-cluster.ts';

const STEPS = 8;

const topologyOf = (parts: object) =>
  resolveTopology({
    model: { vocab: 64, layers: 2, dModel: 16, heads: 2, seqLen: 8, moe: { experts: 4 } },
    data: { synthetic: 'zipf' },
    train: { steps: STEPS, batch: 8, grains: 4 },
    eval: { every: 0 },
    checkpoint: { every: 2 },
    ...parts,
  });

/** The losses of a run in this process. */
async function curveWith(train: object): Promise<readonly number[]> {
  const losses: number[] = [];
  const sink = (event: RunEvent): void => {
    if (event.event === 'step') losses.push(event.loss);
  };
  await (
    await startCluster(topologyOf({ train }), { sink })
  ).result;
  return losses;
}

/** Starts agents on this machine, and none any more on those that are gone for good. */
class MortalMachines {
  readonly #gone = new Set<string>();

  launcher(knowsEnds: boolean): Launcher {
    const local = localLauncher();
    return {
      name: 'local',
      isOneHost: true,
      isAgentsEnd: () => knowsEnds,
      command: (machine, host) =>
        this.#gone.has(host)
          ? { file: process.execPath, args: ['-e', 'process.exit(1)'] }
          : local.command(machine, host),
    };
  }

  /** From now on no agent begins there. */
  mark(host: string): void {
    this.#gone.add(host);
  }

  /** Ends the agent of a machine, and with it its worker. */
  lose({ topology, workerPids }: Launch, host: string): void {
    this.#gone.add(host);
    const worker = workerPids[topology.machines.findIndex((each) => each.host === host)];
    assert(worker !== undefined && worker > 1, 'its process is known');
    const stat = readFileSync(`/proc/${worker}/stat`, 'utf8')
      .replace(/^.*\) /u, '')
      .split(' ');
    const agent = Number(stat[1]);
    assert(agent > 1 && agent !== process.pid, 'an agent is a process of its own', { agent });
    process.kill(agent, 'SIGKILL');
  }
}

interface Lost {
  readonly events: readonly RunEvent[];
  readonly result: RunResult;
  /** Steps in the file of metrics. */
  readonly written: readonly number[];
  readonly run: Launch;
}

/** A launched run of which machines are lost for good behind a step. */
async function losing(
  t: ExecutionContext,
  parts: object,
  {
    hosts,
    knowsEnds = true,
    later,
  }: {
    readonly hosts: readonly string[];
    readonly knowsEnds?: boolean;
    /** Is gone when the next layout begins. */ readonly later?: string;
  },
): Promise<Lost> {
  const folder = await mkdtemp(join(tmpdir(), 'troupe-lost-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const storage = fileStorage(folder);
  const machines = new MortalMachines();
  const events: RunEvent[] = [];
  let begin: (run: Launch) => void = () => {};
  const begun = new Promise<Launch>((resolve) => (begin = resolve));
  const loseAll = async (): Promise<void> => {
    const each = await begun;
    for (const host of hosts) machines.lose(each, host);
  };
  const run = await launch(topologyOf({ launcher: { kind: 'local' }, ...parts }), {
    checkpoints: { storage, folder: 'run' },
    metrics: { storage, folder: 'run' },
    report: (event) => {
      events.push(event);
      if (event.event === 'relayout' && later !== undefined) machines.mark(later);
      if (event.event === 'step' && event.step === 5) void loseAll();
    },
    launcher: machines.launcher(knowsEnds),
    logLevel: 'silent',
    peakFlops: null,
  });
  begin(run);
  const result = await run.result;
  const lines = (await readFile(join(folder, 'run', 'metrics.jsonl'), 'utf8')).trim().split('\n');
  const written = lines
    .map((line) => JSON.parse(line) as RunEvent)
    .flatMap((event) => (event.event === 'step' ? [event.step] : []));
  return { events, result, written, run };
}

const lossesIn = (events: readonly RunEvent[]): readonly number[] =>
  events.flatMap((event) => (event.event === 'step' ? [event.loss] : []));
const relayoutsIn = (events: readonly RunEvent[]): readonly RelayoutEvent[] =>
  events.flatMap((event) => (event.event === 'relayout' ? [event] : []));
const allSteps = Array.from({ length: STEPS }, (_, index) => index + 1);

test.serial(
  'launch: a machine that is lost for good is shrunk away, and each step is reported once, with the numbers of one process',
  async (t) => {
    const parts = {
      machines: { count: 3, devices: ['cpu:0'], min: 2 },
      train: { steps: STEPS, batch: 12, grains: 12 },
      parallel: { dp: 3, ep: 1, zero: 1 },
      recovery: { machines: 'shrink', waitSeconds: 1 },
    };
    const { events, result, written, run } = await losing(t, parts, { hosts: ['m1'] });
    t.is(result.error?.message, undefined);
    t.deepEqual(written, allSteps);
    t.deepEqual(
      run.topology.machines.map(({ host }) => host),
      ['m0', 'm2'],
    );
    t.deepEqual(
      relayoutsIn(events).map(({ state, kind }) => `${kind} ${state}`),
      ['loss open', 'loss done'],
    );
    t.deepEqual(lossesIn(events), await curveWith(parts.train));
  },
);

test.serial('launch: a machine that does not come when the run is laid out anew is lost too', async (t) => {
  const parts = {
    machines: { count: 3, devices: ['cpu:0'], min: 1 },
    train: { steps: STEPS, batch: 12, grains: 12 },
    parallel: { dp: 3, ep: 1, zero: 1 },
    recovery: { machines: 'shrink', waitSeconds: 1 },
  };
  const { events, result, written, run } = await losing(t, parts, { hosts: ['m1'], later: 'm0' });
  t.is(result.error?.message, undefined);
  t.deepEqual(written, allSteps);
  t.deepEqual(
    run.topology.machines.map(({ host }) => host),
    ['m2'],
  );
  t.deepEqual(
    relayoutsIn(events).map(({ state }) => state),
    ['open', 'dropped', 'open', 'done'],
  );
  t.deepEqual(lossesIn(events), await curveWith(parts.train));
});

test.serial('launch: a spare machine stands in for one that is lost for good', async (t) => {
  const parts = {
    machines: { count: 2, devices: ['cpu:0'], spares: 1 },
    parallel: { dp: 2, ep: 2 },
    recovery: { machines: 'spare', waitSeconds: 1 },
  };
  const { events, result, written, run } = await losing(t, parts, { hosts: ['m0'] });
  t.is(result.error?.message, undefined);
  t.deepEqual(written, allSteps);
  t.deepEqual(lossesIn(events), await curveWith({ steps: STEPS, batch: 8, grains: 4 }));
  t.deepEqual(
    run.topology.machines.map(({ host }) => host),
    ['m2', 'm1'],
  );
});

test.serial(
  'launch: exactly half of the machines do not go on when nobody knows of the others',
  async (t) => {
    const parts = {
      machines: { count: 2, devices: ['cpu:0'], min: 1 },
      parallel: { dp: 2, ep: 2 },
      recovery: { machines: 'shrink', waitSeconds: 1 },
    };
    const { result, run } = await losing(t, parts, { hosts: ['m1'], knowsEnds: false });
    t.is(result.exitCode, 76);
    t.like(result.error, { code: 'TROUPE_MACHINE_LOST', details: { reason: 'half', hosts: ['m1'] } });
    t.regex(result.error?.message ?? '', /^m1 was lost and did not come back within 1 s.*exactly half/u);
    t.deepEqual(run.relayouts, []);
  },
);
