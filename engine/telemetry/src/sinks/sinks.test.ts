import test from 'ava';
import { memoryStorage, type MemoryStorage } from '@troupe/sim';
import type { RunEvent, StepEvent } from '../run-event.ts';
import { openMetrics, sinkNames, type SinkName } from './index.ts';

const step = (number: number, more: Partial<StepEvent> = {}): StepEvent => ({
  event: 'step',
  step: number,
  loss: 8.25 - number,
  auxLoss: 0.5,
  gradNorm: 1.5,
  learningRate: 0.003,
  tokens: 2048,
  tokensPerSecond: 9000,
  mfu: null,
  maxExpertLoad: 2,
  maxVio: 1,
  dropRate: 0,
  hottest: { layer: 0, expert: 3 },
  kernelShare: 0.75,
  attempts: 1,
  skipped: false,
  ...more,
});

const run: readonly RunEvent[] = [
  { event: 'start', device: 'none', reason: '', processes: 0, paramsTotal: 1, paramsActive: 1 },
  step(1),
  step(2, { loss: Number.NaN, mfu: 0.25 }),
  { event: 'eval', step: 2, loss: 7.5, tokens: 512 },
  { event: 'checkpoint', step: 2, path: 'step-000002' },
  {
    event: 'done',
    steps: 2,
    loss: 6.25,
    tokensPerSecond: null,
    seconds: 1,
    exitCode: 0,
    wireBytes: 0,
    wireMessages: 0,
    evalLoss: null,
    unigramEntropy: null,
    bigramCrossEntropy: null,
    folder: 'run',
  },
];

/** Writes events as one life of a run does, and says what failed. */
async function write(
  storage: MemoryStorage,
  names: readonly SinkName[],
  events: readonly RunEvent[],
): Promise<{ readonly paths: readonly string[]; readonly failed: readonly string[] }> {
  const failed: string[] = [];
  await storage.makeFolder('run');
  const nowMs = (): number => 1_700_000_000_500;
  const told = (path: string, error: unknown): void => void failed.push(`${path}: ${String(error)}`);
  const metrics = await openMetrics(names, { storage, folder: 'run', nowMs, failed: told });
  for (const event of events) metrics.write(event);
  await metrics.close();
  return { paths: metrics.paths, failed };
}

/** What every sink promises. */
for (const name of sinkNames) {
  test(`sink ${name}: writes one file into the folder, and a run that goes on changes nothing that is there`, async (t) => {
    const storage = memoryStorage();
    const { paths, failed } = await write(storage, [name], run);
    t.deepEqual(failed, []);
    t.deepEqual(storage.paths, paths);
    t.true(paths[0]?.startsWith('run/'));
    const before = await storage.read(paths[0] ?? '');
    t.true(before.byteLength > 0);
    const again = await write(storage, [name], [step(3)]);
    t.deepEqual(again.failed, []);
    const after = await storage.read(paths[0] ?? '');
    t.deepEqual(after.slice(0, before.byteLength), before);
    const sizes = await Promise.all(storage.paths.map((path) => storage.sizeBytes(path)));
    t.true(sizes.reduce((sum, size) => sum + size) > before.byteLength, 'the second run is there too');
  });

  test(`sink ${name}: a full disk, or a folder that is not there, is said once and costs metrics alone`, async (t) => {
    const storage = memoryStorage({ capacityBytes: 8 });
    const { failed } = await write(storage, [name], [...run, ...run]);
    t.is(failed.length, 1, failed.join('\n'));
    t.regex(failed[0] ?? '', /^run\/.+no room left/u);
    const none = memoryStorage();
    const lost: string[] = [];
    const metrics = await openMetrics([name], {
      storage: none,
      folder: 'nowhere',
      nowMs: () => 0,
      failed: (path) => void lost.push(path),
    });
    metrics.write(step(1));
    await metrics.close();
    t.is(lost.length, 1);
    t.true(lost[0]?.startsWith('nowhere'), lost[0]);
  });
}

test('metrics: one sink that fails leaves the others, and a name that comes twice is one file', async (t) => {
  const storage = memoryStorage();
  // A folder stands where the file should be.
  await storage.makeFolder('run/metrics.csv');
  const { paths, failed } = await write(storage, ['csv', 'jsonl', 'jsonl'], run);
  t.deepEqual(paths, ['run/metrics.jsonl']);
  t.is(failed.length, 1);
  const lines = new TextDecoder()
    .decode(await storage.read('run/metrics.jsonl'))
    .trimEnd()
    .split('\n');
  t.deepEqual(
    lines,
    run.map((event) => JSON.stringify(event)),
  );
});

test('sink csv: a column for every curve, what is not measured is empty, NaN is NaN', async (t) => {
  const storage = memoryStorage();
  await write(storage, ['csv'], run);
  await write(storage, ['csv'], [step(3)]);
  t.is(
    new TextDecoder().decode(await storage.read('run/metrics.csv')),
    `step,train/loss,train/auxLoss,train/gradNorm,train/learningRate,train/tokens,train/tokensPerSecond,train/mfu,train/maxExpertLoad,train/kernelShare,train/maxVio,train/dropRate,eval/loss
1,7.25,0.5,1.5,0.003,2048,9000,,2,0.75,1,0,
2,NaN,0.5,1.5,0.003,2048,9000,0.25,2,0.75,1,0,
2,,,,,,,,,,,,7.5
3,5.25,0.5,1.5,0.003,2048,9000,,2,0.75,1,0,
`,
  );
});

test('sink csv: a file with other columns stays as it is; a second one stands beside it', async (t) => {
  for (const other of ['step,loss\n1,2\n', `step,${'train/other,'.repeat(30)}\n`]) {
    const storage = memoryStorage();
    await storage.makeFolder('run');
    await storage.writeAtomic('run/metrics.csv', new TextEncoder().encode(other));
    t.deepEqual((await write(storage, ['csv'], run)).paths, ['run/metrics-2.csv']);
    t.deepEqual((await write(storage, ['csv'], run)).paths, ['run/metrics-2.csv']);
    t.is(new TextDecoder().decode(await storage.read('run/metrics.csv')), other);
  }
});
