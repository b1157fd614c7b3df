import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { latestCheckpoint, openCheckpoint, type CheckpointReader } from '@troupe/checkpoint';
import { assert } from '@troupe/core';
import { resolveTopology } from '@troupe/topology';
import type { LaunchOptions } from '../launch/launch-options.ts';
import { launch, type Launch } from '../launch/launch.ts';
import { fileStorage } from '../ports/file-storage.ts';
import { startCluster } from '../start-cluster.ts';
import { seesDisk, markDisk, unmarkDisk } from './shared-disk.ts';

const STEPS = 6;
const topologyOf = (parts: object) =>
  resolveTopology({
    model: { vocab: 64, layers: 2, dModel: 16, heads: 2, seqLen: 8, moe: { experts: 4 } },
    data: { synthetic: 'zipf' },
    train: { steps: STEPS, batch: 8, grains: 4 },
    parallel: { dp: 2, ep: 2, zero: 1 },
    checkpoint: { every: 2, keep: 9 },
    ...parts,
  });
const two = { machines: { count: 2, devices: ['cpu:0'] }, launcher: { kind: 'local' } };

async function folderOf(t: ExecutionContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'troupe-parts-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

interface Ran {
  readonly losses: ReadonlyMap<number, number>;
  readonly exitCode: number;
}

/** A run of two machines that saves under `root`; with `isShared` its machines know where that is. */
async function ran(
  root: string,
  options: Partial<LaunchOptions> & { readonly isShared: boolean },
  step: (step: number, run: Launch) => void = () => {},
): Promise<Ran> {
  const { isShared, ...more } = options;
  const losses = new Map<number, number>();
  let run: Launch | null = null;
  run = await launch(topologyOf(two), {
    checkpoints: { storage: fileStorage(root), folder: '', ...(isShared ? { root } : {}) },
    report: (event) => {
      if (event.event !== 'step') return;
      losses.set(event.step, event.loss);
      if (run !== null) step(event.step, run);
    },
    logLevel: 'silent',
    peakFlops: null,
    ...more,
  });
  const { exitCode } = await run.result;
  return { losses, exitCode };
}

/** The same run in this process. */
async function ranAlone(root: string, resumeFrom?: CheckpointReader): Promise<Ran> {
  const losses = new Map<number, number>();
  const run = await startCluster(topologyOf({}), {
    checkpoints: { storage: fileStorage(root), folder: '', keep: 9 },
    sink: (event) => {
      if (event.event === 'step') losses.set(event.step, event.loss);
    },
    ...(resumeFrom === undefined ? {} : { resumeFrom }),
  });
  const { exitCode } = await run.result;
  return { losses, exitCode };
}

/** The agent that has started a worker. */
function parentOf(pid: number): number {
  const parent = Number(
    readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /u, '')
      .split(' ')[1],
  );
  assert(parent > 1, 'a worker has an agent', { pid });
  return parent;
}

const newest = async (root: string): Promise<CheckpointReader> => {
  const { checkpoint } = await latestCheckpoint(fileStorage(root), '');
  if (checkpoint === null) throw new Error('the run has left no checkpoint');
  return checkpoint;
};

/** Every tensor of a checkpoint, with a hash of its values. */
async function contentOf(reader: CheckpointReader): Promise<readonly string[]> {
  const content: string[] = [];
  for (const { name, group } of reader.manifest.tensors) {
    const values = await reader.read(name, group);
    content.push(`${group} ${name} ${createHash('sha256').update(values).digest('hex')}`);
  }
  return content.toSorted();
}

test('checkpoint parts: two machines on one disk write a part each, also a machine that was lost meanwhile, and the checkpoint holds what one machine would have saved', async (t) => {
  const [parts, whole] = [await folderOf(t), await folderOf(t)];
  let isLost = false;
  const own = await ran(parts, { isShared: true }, (step, run) => {
    if (step !== 5 || isLost) return;
    isLost = true;
    const worker = run.workerPids.at(-1);
    assert(worker !== undefined && worker > 1, 'the second machine has a worker');
    process.kill(parentOf(worker), 'SIGKILL');
  });
  const one = await ranAlone(whole);
  t.is(own.exitCode, 0);
  t.deepEqual(own.losses, one.losses);
  const reader = await newest(parts);
  t.is(reader.manifest.formatVersion, 2);
  const names = reader.manifest.files.map(({ name }) => name.slice(0, 'part-m0'.length));
  t.deepEqual(new Set(names), new Set(['part-m0', 'part-m1']));
  t.deepEqual(await contentOf(reader), await contentOf(await newest(whole)));
  const left = await readdir(parts);
  t.deepEqual(
    left.filter((name) => name.includes('partial') || name === '.disk'),
    [],
  );
  t.deepEqual(left.filter((name) => name.startsWith('step-')).toSorted(), [
    'step-000002',
    'step-000004',
    'step-000006',
  ]);
  const at4 = await openCheckpoint(fileStorage(parts), 'step-000004');
  const resumed = await ran(await folderOf(t), { isShared: true, resumeFrom: at4 });
  t.is(resumed.losses.get(6), one.losses.get(6));
  const alone = await ranAlone(await folderOf(t), at4);
  t.is(alone.losses.get(6), one.losses.get(6), 'on one machine, from the parts of two');
});

test('checkpoint parts: machines that do not see the disk send what they have to the lead', async (t) => {
  const root = await folderOf(t);
  const { exitCode } = await ran(root, { isShared: false, stopAfter: 2 });
  t.is(exitCode, 0);
  t.is((await newest(root)).manifest.formatVersion, 1);
});

test('checkpoint parts: a disk is shared when its mark is found, with what is in it, and it may be written', async (t) => {
  const root = await folderOf(t);
  const disk = await markDisk(fileStorage(root), { root, folder: 'run' });
  t.true(await seesDisk(disk));
  t.false(await seesDisk({ ...disk, mark: 'of another run' }), 'a copy of the folder, or of an earlier run');
  t.false(await seesDisk({ ...disk, root: await folderOf(t) }));
  const readOnly = { ...fileStorage(root), writeAtomic: () => Promise.reject(new Error('EROFS')) };
  t.false(await seesDisk(disk, readOnly), 'what is read and not written');
  await unmarkDisk(fileStorage(root), disk);
  t.false(await seesDisk(disk));
  t.deepEqual(await readdir(join(root, 'run')), [], 'what was tried is not left there');
});
