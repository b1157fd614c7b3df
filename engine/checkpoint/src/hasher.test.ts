import { createHash } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import test from 'ava';
import { hasherFor, inlineHasher, workerHasher, type Hasher } from './hasher.ts';

const sha256 = (...chunks: readonly Uint8Array[]): string => {
  const hash = createHash('sha256');
  for (const chunk of chunks) hash.update(chunk);
  return hash.digest('hex');
};

for (const [name, open] of [
  ['inline', inlineHasher],
  ['worker', workerHasher],
] as const) {
  test(`${name} hasher: streams that share bytes keep apart, and bytes come back`, async (t) => {
    const hasher: Hasher = open();
    const [a, b] = [Uint8Array.of(1, 2, 3), new Uint8Array(100).fill(7).subarray(10, 20)];
    const [whole, part] = [hasher.open(), hasher.open()];
    const first = hasher.update([whole], a.slice());
    const second = hasher.update([whole, part], b);
    t.deepEqual(await first, a);
    t.deepEqual(await second, new Uint8Array(10).fill(7));
    t.is(await hasher.digest(whole), sha256(a, new Uint8Array(10).fill(7)));
    t.is(await hasher.digest(part), sha256(new Uint8Array(10).fill(7)));
    t.is(await hasher.digest(hasher.open()), sha256());
    await hasher.close();
  });
}

/** Turns of the event loop while 64 MiB are hashed: each is a chance to answer a heartbeat. */
async function turnsWhileHashing(hasher: Hasher): Promise<number> {
  await hasher.update([hasher.open()], new Uint8Array(1));
  const progress = { isDone: false, turns: 0 };
  const hashed = hasher.update([hasher.open()], new Uint8Array(64 * 2 ** 20)).finally(() => {
    progress.isDone = true;
  });
  for (; !progress.isDone; progress.turns += 1) await nextTurn();
  await hashed;
  await hasher.close();
  return progress.turns;
}

test('worker hasher: the event loop turns while it hashes; inline, it stands still', async (t) => {
  t.true((await turnsWhileHashing(workerHasher())) > 20);
  t.true((await turnsWhileHashing(inlineHasher())) <= 1);
});

test('hashers: a checkpoint of megabytes has a thread, a small one starts none', async (t) => {
  t.true((await turnsWhileHashing(hasherFor(4 * 2 ** 20 + 1))) > 20);
  t.true((await turnsWhileHashing(hasherFor(4 * 2 ** 20))) <= 1);
});

test('worker hasher: what waits is told when the thread ends', async (t) => {
  const hasher = workerHasher();
  const stream = hasher.open();
  await hasher.update([stream], new Uint8Array(1));
  const waiting = t.throwsAsync(() => hasher.digest(stream), { code: 'TROUPE_CHECKPOINT_HASHER' });
  await hasher.close();
  await waiting;
  await t.throwsAsync(() => hasher.digest(stream), { code: 'TROUPE_CHECKPOINT_HASHER' });
});
