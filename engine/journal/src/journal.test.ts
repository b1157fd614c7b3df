import test from 'ava';
import type { Storage } from '@troupe/core';
import { memoryStorage, type MemoryStorage, type StorageOperation } from '@troupe/sim';
import { claimEpoch, newestEpoch } from './epoch/lead-claim.ts';
import { openJournal, type Journal } from './journal.ts';
import { readJournal } from './journal-text.ts';
import { lineOf } from './line.ts';
import { jsonOf } from './record-json.ts';
import { plainRecord } from './testing/drawn-records.ts';

const path = 'runs/a/journal';
const open = (storage: MemoryStorage, rotateBytes = 2 ** 20): Promise<Journal> =>
  openJournal({ storage, path, rotateBytes });
const stepsIn = async (storage: MemoryStorage): Promise<readonly number[]> =>
  readJournal(path, await storage.read(path)).records.map(({ step }) => step);

test('journal: an empty one is legal; what was decided last is known when it is opened again', async (t) => {
  const storage = memoryStorage();
  const first = await open(storage);
  t.is(first.newest, null);
  for (const step of [1, 2, 3]) await first.append(plainRecord(step));
  await first.close();
  await first.close();
  const second = await open(storage);
  t.deepEqual(second.newest, plainRecord(3));
  await second.append(plainRecord(1, { epoch: 2 }));
  t.deepEqual(await stepsIn(storage), [1, 2, 3, 1]);
});

test('journal: JRN-1, what was appended is there after a loss of power, its name and its folders too', async (t) => {
  const unsynced: Promise<readonly number[]>[] = [];
  const storage: MemoryStorage = memoryStorage({
    before: ({ kind }) => {
      if (kind === 'sync' && storage.lasting(path) !== null) unsynced.push(stepsIn(storage.crash()));
    },
  });
  const journal = await open(storage);
  await journal.append(plainRecord(1));
  await journal.append(plainRecord(2));
  t.deepEqual(await Promise.all(unsynced), [[], [1]], 'a record that is not synced is not there');
  t.deepEqual(await stepsIn(storage.crash()), [1, 2]);
  t.deepEqual(await storage.crash().list('runs'), ['a']);
});

test('journal: what was cut off at the end goes when it is opened, and the next record stands where it stood', async (t) => {
  const line = lineOf(jsonOf(plainRecord(2)));
  for (const length of [1, 30, line.byteLength - 1]) {
    const storage = memoryStorage();
    const before = await open(storage);
    await before.append(plainRecord(1));
    const file = await storage.grow(path);
    file.append(line.subarray(0, length));
    const after = await open(storage.crash(0, {}, (bytes) => bytes));
    t.is(after.newest?.step, 1);
    const again = await open(storage);
    await again.append(plainRecord(2));
    t.deepEqual(await stepsIn(storage), [1, 2]);
  }
});

test('journal: damage is an error with its code, file and line', async (t) => {
  const storage = memoryStorage();
  const journal = await open(storage);
  for (const step of [1, 2]) await journal.append(plainRecord(step));
  storage.flipBit(path, 8 * 100);
  await t.throwsAsync(open(storage), {
    code: 'TROUPE_JOURNAL_DAMAGED',
    message: /^journal 'runs\/a\/journal' is damaged in line 1: its bytes do not have its checksum; /u,
  });
});

test('journal: JRN-3, a decision is recorded once, one after the other', async (t) => {
  const journal = await open(memoryStorage());
  await journal.append(plainRecord(2));
  for (const step of [2, 1])
    await t.throwsAsync(journal.append(plainRecord(step)), { code: 'TROUPE_INVARIANT' });
  await journal.append(plainRecord(1, { attempt: 2 }));
  const pending = journal.append(plainRecord(2, { attempt: 2 }));
  await t.throwsAsync(journal.append(plainRecord(3, { attempt: 2 })), { code: 'TROUPE_INVARIANT' });
  await pending;
  await journal.append(plainRecord(3, { attempt: 2 }));
});

test('journal: closed while a decision is added, it is closed behind it', async (t) => {
  const storage = memoryStorage();
  const journal = await open(storage, 10);
  const pending = journal.append(plainRecord(1));
  await journal.close();
  await pending;
  await t.throwsAsync(journal.append(plainRecord(2)), { code: 'TROUPE_INVARIANT' });
  t.is((await open(storage)).newest?.step, 1);
});

test('journal: JRN-5, behind a full disk nothing is added, and what is there can be read', async (t) => {
  const line = lineOf(jsonOf(plainRecord(1)));
  const storage = memoryStorage({ capacityBytes: 2 * line.byteLength - 10 });
  const journal = await open(storage);
  await journal.append(plainRecord(1));
  await t.throwsAsync(journal.append(plainRecord(2)), { code: 'TROUPE_STORAGE_FULL' });
  storage.setCapacity(2 ** 20);
  await t.throwsAsync(journal.append(plainRecord(3)), { code: 'TROUPE_INVARIANT' });
  await journal.close();
  t.is((await open(storage)).newest?.step, 1);
});

test('journal: JRN-4, it stays small: a rotation keeps what is behind the last checkpoint, and the newest record', async (t) => {
  const storage = memoryStorage();
  const lineBytes = lineOf(jsonOf(plainRecord(1))).byteLength;
  const journal = await open(storage, 10 * lineBytes);
  let mostBytes = 0;
  for (let step = 1; step <= 200; step++) {
    const saved = step - 1 - ((step - 1) % 4);
    const checkpoint = saved === 0 ? null : { step: saved, path: `step-${saved}` };
    await journal.append(plainRecord(step, { checkpoint }));
    mostBytes = Math.max(mostBytes, await storage.sizeBytes(path));
    const steps = await stepsIn(storage);
    t.is(steps.at(-1), step);
    for (let needed = saved + 1; needed <= step; needed++)
      t.true(steps.includes(needed), `${needed} at ${step}`);
  }
  t.true(mostBytes < 16 * lineBytes, `${mostBytes} bytes of records with ${lineBytes}`);
  await journal.append(plainRecord(201, { checkpoint: { step: 500, path: 'x' } }));
  t.is((await open(storage)).newest?.step, 201);
});

test('journal: without a checkpoint everything stays, and is not written again and again', async (t) => {
  let rewrites = 0;
  const count = ({ kind }: StorageOperation): void => void (rewrites += kind === 'commit' ? 1 : 0);
  const storage = memoryStorage({ after: count });
  const journal = await open(storage, 2000);
  for (let step = 1; step <= 100; step++) await journal.append(plainRecord(step));
  t.is((await stepsIn(storage)).length, 100);
  t.true(rewrites > 0 && rewrites < 8, `${rewrites}`);
});

test('journal: JRN-4, after a loss of power between any two steps of a rotation it holds what it held', async (t) => {
  for (const keptChanges of [0, 1]) {
    const crashes: Promise<void>[] = [];
    let decided = 0;
    const storage: MemoryStorage = memoryStorage({
      after: ({ kind }) => {
        if (decided === 0 || kind === 'read') return;
        const left = storage.crash(Math.min(keptChanges, storage.numUnsynced));
        const least = decided;
        const judge = async (): Promise<void> => {
          const { newest } = await open(left);
          t.true((newest?.step ?? 0) >= least, `${kind} behind ${least}`);
        };
        crashes.push(judge());
      },
    });
    const journal = await open(storage, 1500);
    for (let step = 1; step <= 12; step++) {
      await journal.append(plainRecord(step, { checkpoint: { step: Math.max(0, step - 2), path: 'x' } }));
      decided = step;
    }
    t.true(crashes.length > 20);
    await Promise.all(crashes);
  }
});

test('journal: TKO-5, a new lead makes what it has read last, and what the old one adds is nowhere; planted: the file is gone on with', async (t) => {
  for (const cutsOff of [true, false]) {
    const storage = memoryStorage();
    const old = await open(storage);
    await old.append(plainRecord(1));
    // The old lead has added this one, and stands still before it is synced.
    (await storage.grow(path)).append(lineOf(jsonOf(plainRecord(2))));
    const next = await openJournal({ storage, path, cutsOff });
    t.is(next.newest?.step, 2);
    t.deepEqual(await stepsIn(storage.crash()), cutsOff ? [1, 2] : [1]);
    await old.append(plainRecord(2));
    await next.append(plainRecord(3, { epoch: 2 }));
    if (cutsOff) t.deepEqual(await stepsIn(storage), [1, 2, 3]);
    else await t.throwsAsync(stepsIn(storage), { code: 'TROUPE_JOURNAL_DAMAGED' });
  }
});

test('claims: LED-1, of all who claim an epoch one gets it, and none that is not above all others', async (t) => {
  const place = { storage: memoryStorage(), folder: 'runs/a' };
  const claim = (epoch: number, incarnation: string) => claimEpoch(place, { epoch, incarnation });
  t.is(await newestEpoch(place), 0);
  t.true(await claim(1, 'a'));
  const claimed = await Promise.all(['b', 'c', 'd'].map((name) => claim(2, name)));
  t.is(claimed.filter(Boolean).length, 1);
  t.false(await claim(1, 'e'));
  t.is(await newestEpoch(place), 2);
  await place.storage.writeAtomic('runs/a/leading', new Uint8Array(0));
  t.is(await newestEpoch(place), 2);
});

test('journal: TKO-5, a disk that misreads once, or keeps a part of what a new lead writes, loses nothing', async (t) => {
  for (const fault of ['misread', 'torn', 'torn for good'] as const) {
    const storage = memoryStorage();
    const old = await open(storage);
    for (const step of [1, 2]) await old.append(plainRecord(step));
    let numReads = 0;
    const failing: Pick<Storage, 'exists' | 'read' | 'writeAtomic'> = {
      exists: (name) => storage.exists(name),
      read: async (name: string) => {
        const bytes = await storage.read(name);
        if (fault === 'misread' && numReads++ === 0) bytes[99] = (bytes[99] ?? 0) ^ 1;
        return bytes;
      },
      writeAtomic: async (name: string, bytes: Uint8Array) => {
        await storage.writeAtomic(name, bytes);
        if (fault === 'torn for good' || (fault === 'torn' && numReads++ === 0)) storage.tear(name, 500);
      },
    };
    const opened = openJournal({ storage: failing as Storage, path, cutsOff: true });
    if (fault === 'torn for good') await t.throwsAsync(opened, { code: 'TROUPE_JOURNAL_DAMAGED' });
    else {
      t.is((await opened).newest?.step, 2, fault);
      t.deepEqual(await stepsIn(storage), [1, 2], fault);
    }
  }
});
