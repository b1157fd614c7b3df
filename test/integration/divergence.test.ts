import { memoryStorage } from '@troupe/sim';
import type { Device } from '@troupe/kernel-set';
import test from 'ava';
import { startCluster } from 'troupe';
import { inlineHasher } from '@troupe/checkpoint';
import { poisoned } from './poisoned-device.ts';
import { tinyTokens, tinyTopology } from './tiny-cluster.ts';

const STEPS = 10;
/** Three skipped steps end a run; it saves after every second one, and the newest alone is to be kept. */
const topology = (() => {
  const tiny = tinyTopology({ dp: 1, ep: 1, steps: STEPS });
  return {
    ...tiny,
    train: { ...tiny.train, maxSkipped: 3 },
    checkpoint: { ...tiny.checkpoint, every: 2 },
  };
})();

async function run(device: Device, stopAfter = STEPS) {
  const storage = memoryStorage();
  const cluster = await startCluster(topology, {
    tokens: tinyTokens,
    openDevice: async () => device,
    stopAfter,
    checkpoints: { storage, folder: 'run', keep: 1, tokenizer: null, hasher: inlineHasher() },
  });
  const skipped: number[] = [];
  for await (const event of cluster.events())
    if (event.event === 'step' && event.skipped) skipped.push(event.step);
  const result = await cluster.result;
  const saved = ((await storage.exists('run')) ? await storage.list('run') : [])
    .filter((name) => name.startsWith('step-'))
    .toSorted();
  return { result, skipped, saved };
}

/** Gradients of every step behind `last` are not finite, but for those of the steps `good`. */
async function blownUp(last: number, good: readonly number[] = []): Promise<Device> {
  const clean = poisoned(() => false);
  await run(clean.device, 1);
  const calls = clean.sources.length;
  // A step that is not finite is begun twice.
  const starts: boolean[] = [];
  for (let step = 1; step <= STEPS; step++) {
    const isBad = step > last && !good.includes(step);
    starts.push(...(isBad ? [true, true] : [false]));
  }
  return poisoned((index) => starts[Math.floor(index / calls)] ?? false).device;
}

test('maxSkipped: a run that only skips ends with 1, keeps the checkpoint from before the blow-up and names it', async (t) => {
  const { result, skipped, saved } = await run(await blownUp(5));
  t.is(result.exitCode, 1);
  t.is(result.error?.code, 'TROUPE_RUN_DIVERGED');
  t.false(result.error?.retryable);
  t.regex(
    result.error?.message ?? '',
    /steps 6 to 8 were skipped .*\(train\.maxSkipped 3\); the last checkpoint from before is step-000004/u,
  );
  t.deepEqual(skipped, [6, 7, 8]);
  t.deepEqual(saved, ['step-000002', 'step-000004']);
});

test('maxSkipped: a checkpoint behind which no update went well is not from before, and does not push out the one that is', async (t) => {
  const { result, saved } = await run(await blownUp(4));
  t.regex(result.error?.message ?? '', /steps 5 to 7 were skipped .* from before is step-000002/u);
  t.deepEqual(saved, ['step-000002', 'step-000004']);
  const early = await run(await blownUp(1));
  t.regex(
    early.result.error?.message ?? '',
    /steps 2 to 4 were skipped .* there is no checkpoint from before/u,
  );
  t.deepEqual(early.saved, []);
});

test('maxSkipped: fewer in a row end nothing; their checkpoint comes after the next good step, and `keep` holds at the end', async (t) => {
  const { result, skipped, saved } = await run(await blownUp(3, [6, 7, 8, 9, 10]));
  t.is(result.exitCode, 0);
  t.deepEqual(skipped, [4, 5]);
  t.deepEqual(saved, ['step-000010']);
});

test('a run that is stopped while it skips saves where it stands and removes nothing', async (t) => {
  const { result, skipped, saved } = await run(await blownUp(4), 6);
  t.is(result.error, null);
  t.deepEqual(skipped, [5, 6]);
  t.deepEqual(saved, ['step-000002', 'step-000004', 'step-000006']);
});
