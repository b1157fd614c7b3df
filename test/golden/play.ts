import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inlineHasher, openCheckpoint } from '@troupe/checkpoint';
import { MemoryStorage } from '@troupe/sim';
import type { SharedStorage, Storage } from '@troupe/core';
import { openNativeDevice, openReferenceDevice, loadDevice } from '@troupe/kernels';
import type { RunEvent } from '@troupe/telemetry';
import { fileStorage, launch, loadTopology, simulate, startCluster, type ResolvedTopology } from 'troupe';
import type { GoldenBody, GoldenCase, GoldenRun, GoldenSet } from './golden-case.ts';
import { goldenFolder } from './golden-file.ts';
import { checkpointLines, curveLines, stepFolder } from './numbers.ts';

/** In what layout a resumed run takes its steps up to this one. */
const resumedFrom = {
  step: 2,
  set: ['parallel={dp: 4, ep: 4, zero: 1}'],
};

const openSync = (body: GoldenBody) =>
  body === 'native' ? openNativeDevice({ threads: 1 }) : openReferenceDevice({ dtype: 'f32' });

const open = async (body: GoldenBody) => (body === 'tfjs' ? loadDevice({ body }) : openSync(body));

/** Why a body cannot be used here; null: it can. */
export async function missing(body: GoldenBody): Promise<string | null> {
  try {
    await (await open(body)).close();
    return null;
  } catch (error) {
    return String(error);
  }
}

interface Play {
  readonly body: GoldenBody;
  readonly topology: ResolvedTopology;
  readonly rules: GoldenCase['rules'];
}

async function inMemory(
  { body, topology, rules }: Play,
  storage: Storage,
  stretch: { readonly stopAfter?: number; readonly from?: number } = {},
): Promise<readonly RunEvent[]> {
  const { from, ...stop } = stretch;
  const events: RunEvent[] = [];
  const cluster = await startCluster(topology, {
    ...rules,
    ...stop,
    openDevice: () => open(body),
    checkpoints: { storage, folder: 'run', keep: 9, tokenizer: null, hasher: inlineHasher() },
    ...(from === undefined ? {} : { resumeFrom: await openCheckpoint(storage, `run/${stepFolder(from)}`) }),
    sink: (event) => events.push(event),
  });
  const { error } = await cluster.result;
  if (error !== null) throw error;
  return events;
}

async function overZeroMQ({ topology }: Play, storage: SharedStorage): Promise<readonly RunEvent[]> {
  const events: RunEvent[] = [];
  const run = await launch(topology, {
    checkpoints: { storage, folder: 'run' },
    report: (event) => events.push(event),
    logLevel: 'silent',
    peakFlops: null,
  });
  const { error } = await run.result;
  if (error !== null) throw error;
  return events;
}

async function simulated({ body, topology, rules }: Play, isStruck: boolean): Promise<readonly RunEvent[]> {
  const worker = topology.parallel.world - 1;
  const { events, result, violation, struck } = await simulate(topology, {
    ...rules,
    seed: 7,
    openDevice: async () => openSync(body),
    checkpoints: isStruck,
    faults: isStruck ? [{ kind: 'crash', target: `worker/${worker}`, atStep: 2 }] : [],
  });
  if (result.error !== null) throw result.error;
  if (violation !== null || struck.length !== (isStruck ? 1 : 0))
    throw new Error(violation?.text ?? `${struck.length} faults struck`);
  return events;
}

/** A folder of its own for what a run writes. */
async function inFolder<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'troupe-golden-'));
  try {
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Lines of one run of a case. A simulated run keeps its checkpoints to itself, so it has no lines of them. */
export async function play(
  { body, precision }: GoldenSet,
  { set, rules }: GoldenCase,
  { over, set: layout }: GoldenRun,
): Promise<readonly string[]> {
  const file = `${goldenFolder}tiny.yaml`;
  const withLayout = (cut: readonly string[]): Play => ({
    body,
    rules,
    topology: loadTopology(file, {
      set: [...set, `train.precision=${precision}`, ...(body === 'native' ? ['device=native'] : []), ...cut],
    }),
  });
  const own = withLayout(layout);
  const { topology } = own;
  if (over === 'simulated' || over === 'struck') return curveLines(await simulated(own, over === 'struck'));
  const lines = async (events: readonly RunEvent[], storage: Storage): Promise<readonly string[]> => [
    ...curveLines(events),
    ...(body === 'tfjs' ? [] : await checkpointLines(storage, topology.train.steps)),
  ];
  if (over === 'ZeroMQ')
    return inFolder(async (folder) => {
      const storage = fileStorage(folder);
      return lines(await overZeroMQ(own, storage), storage);
    });
  const storage = new MemoryStorage();
  if (over === 'memory') return lines(await inMemory(own, storage), storage);
  const before = await inMemory(withLayout(resumedFrom.set), storage, { stopAfter: resumedFrom.step });
  const after = await inMemory(own, storage, { from: resumedFrom.step });
  return lines([...before, ...after], storage);
}
