import { spawnSync } from 'node:child_process';
import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import * as fc from 'fast-check';
import { memoryStorage, SimDisk, SimProcess, VirtualClock } from '@troupe/sim';
import { nodeId, prng, TroupeError, type Storage } from '@troupe/core';
import { fileStorage } from './file-storage.ts';
import { storageError } from './storage-error.ts';

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const bytesOf = (value: string): Uint8Array => new TextEncoder().encode(value);

async function code(act: () => Promise<unknown>): Promise<string> {
  try {
    await act();
  } catch (error) {
    return error instanceof TroupeError ? error.code : String(error);
  }
  return 'no error';
}

interface Body {
  readonly name: string;
  open(t: ExecutionContext): Promise<Storage>;
}

async function temporaryFolder(t: ExecutionContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'troupe-storage-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

const bodies: readonly Body[] = [
  { name: 'memory', open: async () => memoryStorage() },
  { name: 'file', open: async (t) => fileStorage(await temporaryFolder(t)) },
  // DSK-2: without faults a disk is a storage like any other.
  { name: 'simulated', open: async (t) => simulatedDisk(t) },
];

/** A disk in virtual time, which passes whenever this process has nothing else to do. */
function simulatedDisk(t: ExecutionContext): Storage {
  const clock = new VirtualClock();
  const disk = new SimDisk(clock, prng({ seed: 1, purpose: 'storage.test' }));
  let isOver = false;
  const pass = (): void => {
    while (clock.runNext());
    if (!isOver) setImmediate(pass);
  };
  pass();
  t.teardown(() => {
    isOver = true;
  });
  return disk.open(new SimProcess(nodeId('worker/0'), 1, clock));
}

/** What every body of `Storage` promises. */
for (const body of bodies) {
  const conformance = (
    behaviour: string,
    run: (t: ExecutionContext, storage: Storage) => Promise<void>,
  ): void => {
    test(`${body.name} storage: ${behaviour}`, async (t) => run(t, await body.open(t)));
  };

  conformance('a file appears under its name only on commit', async (t, storage) => {
    await storage.makeFolder('run');
    const file = await storage.create('run/a');
    await file.write(bytesOf('one '));
    await file.write(bytesOf('two'));
    t.false(await storage.exists('run/a'));
    t.deepEqual(await storage.list('run'), []);
    await file.commit();
    t.is(text(await storage.read('run/a')), 'one two');
    t.is(await storage.sizeBytes('run/a'), 7);
    t.deepEqual(await storage.list('run'), ['a']);
  });

  conformance(
    'a growing file holds every chunk as soon as it is added, and goes on later',
    async (t, storage) => {
      await storage.makeFolder('run');
      const chunk = bytesOf('one ');
      const file = await storage.grow('run/log');
      t.is(file.openedBytes, 0);
      t.is(await storage.sizeBytes('run/log'), 0);
      file.append(chunk);
      chunk.fill(0);
      t.is(text(await storage.read('run/log')), 'one ');
      file.append(bytesOf('two '));
      await file.close();
      await file.close();
      t.is(await code(async () => file.append(bytesOf('x'))), 'TROUPE_STORAGE_FAILED');
      const again = await storage.grow('run/log');
      t.is(again.openedBytes, 8);
      again.append(bytesOf('three'));
      await again.close();
      t.is(text(await storage.read('run/log')), 'one two three');
      t.deepEqual(await storage.list('run'), ['log']);
      t.is(await code(() => storage.grow('nowhere/log')), 'TROUPE_STORAGE_MISSING');
      t.is(await code(() => storage.grow('run')), 'TROUPE_STORAGE_FAILED');
    },
  );

  conformance('a growing file is synced as often as one likes, until it is closed', async (t, storage) => {
    const file = await storage.grow('log');
    await file.sync();
    file.append(bytesOf('one '));
    const first = file.sync();
    file.append(bytesOf('two'));
    await Promise.all([first, file.sync()]);
    t.is(text(await storage.read('log')), 'one two');
    const last = file.sync();
    await Promise.all([file.close(), last]);
    t.is(await code(() => file.sync()), 'TROUPE_STORAGE_FAILED');
  });

  conformance(
    'of a growing file that another one replaces, no more is added to either',
    async (t, storage) => {
      const before = await storage.grow('log');
      before.append(bytesOf('one '));
      await storage.writeAtomic('log', bytesOf('new '));
      const after = await storage.grow('log');
      before.append(bytesOf('lost'));
      await before.sync();
      after.append(bytesOf('two'));
      t.is(text(await storage.read('log')), 'new two');
      await Promise.all([before.close(), after.close()]);
    },
  );

  conformance(
    'a file is made once: of all who try at a time one does, and nobody changes it',
    async (t, storage) => {
      const made = await Promise.all(
        ['a', 'b', 'c'].map((name) => storage.createExclusive('claim', bytesOf(name))),
      );
      t.is(made.filter(Boolean).length, 1);
      t.is(text(await storage.read('claim')), 'abc'.charAt(made.indexOf(true)));
      t.false(await storage.createExclusive('claim', bytesOf('late')));
      t.deepEqual(await storage.list(''), ['claim']);
      t.is(
        await code(() => storage.createExclusive('nowhere/claim', bytesOf('x'))),
        'TROUPE_STORAGE_MISSING',
      );
      await storage.makeFolder('f');
      t.is(await code(() => storage.createExclusive('f', bytesOf('x'))), 'TROUPE_STORAGE_FAILED');
    },
  );

  conformance('abort leaves the earlier file as it was, and may be called twice', async (t, storage) => {
    await storage.writeAtomic('a', bytesOf('old'));
    const file = await storage.create('a');
    await file.write(bytesOf('newer'));
    await file.abort();
    await file.abort();
    t.is(text(await storage.read('a')), 'old');
    t.is(await code(() => file.write(bytesOf('x'))), 'TROUPE_STORAGE_FAILED');
    t.is(await code(() => file.commit()), 'TROUPE_STORAGE_FAILED');
    t.is(text(await storage.read('a')), 'old');
  });

  conformance('abort after commit keeps the file', async (t, storage) => {
    const file = await storage.create('a');
    await file.write(bytesOf('kept'));
    await file.commit();
    await file.abort();
    t.is(text(await storage.read('a')), 'kept');
  });

  conformance('two writers of one name do not mix; the last commit stays', async (t, storage) => {
    const [first, second] = [await storage.create('a'), await storage.create('a')];
    await first.write(bytesOf('1'));
    await second.write(bytesOf('2'));
    await first.write(bytesOf('1'));
    await second.commit();
    await first.commit();
    t.is(text(await storage.read('a')), '11');
  });

  conformance('a written chunk may be reused by the caller', async (t, storage) => {
    const chunk = bytesOf('abc');
    const file = await storage.create('a');
    await file.write(chunk);
    chunk.fill(0);
    await file.commit();
    t.is(text(await storage.read('a')), 'abc');
  });

  conformance('bytes that were read belong to the caller', async (t, storage) => {
    await storage.writeAtomic('a', bytesOf('abc'));
    (await storage.read('a')).fill(0);
    t.is(text(await storage.read('a')), 'abc');
  });

  conformance('reads any range of any bytes', async (t, storage) => {
    const property = fc.asyncProperty(
      fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 5 }),
      fc.nat(),
      fc.nat(),
      async (chunks, a, b) => {
        const whole = Uint8Array.from(chunks.flatMap((chunk) => [...chunk]));
        const file = await storage.create('any');
        for (const chunk of chunks) await file.write(chunk);
        await file.commit();
        const [from, to] = [a % (whole.length + 1), b % (whole.length + 1)].sort((x, y) => x - y) as [
          number,
          number,
        ];
        const part = await storage.read('any', { offset: from, lengthBytes: to - from });
        t.deepEqual([...part], [...whole.subarray(from, to)]);
        t.deepEqual([...(await storage.read('any'))], [...whole]);
      },
    );
    await fc.assert(property, { numRuns: 30 });
  });

  conformance('a range past the end is an error', async (t, storage) => {
    await storage.writeAtomic('a', bytesOf('abc'));
    t.is(await code(() => storage.read('a', { offset: 1, lengthBytes: 3 })), 'TROUPE_STORAGE_FAILED');
  });

  conformance('what is missing is named so', async (t, storage) => {
    t.false(await storage.exists('no/file'));
    t.is(await code(() => storage.read('a')), 'TROUPE_STORAGE_MISSING');
    t.is(await code(() => storage.sizeBytes('a')), 'TROUPE_STORAGE_MISSING');
    t.is(await code(() => storage.list('a')), 'TROUPE_STORAGE_MISSING');
    t.is(await code(() => storage.rename('a', 'b')), 'TROUPE_STORAGE_MISSING');
    t.is(await code(() => storage.create('no/file')), 'TROUPE_STORAGE_MISSING');
    t.is(await code(() => storage.syncFolder('a')), 'TROUPE_STORAGE_MISSING');
    await storage.remove('a');
    await storage.remove('no/file');
  });

  conformance('a path cannot leave the root', async (t, storage) => {
    for (const path of ['../a', 'a/../../b', '/etc/passwd', 'a\\b', 'a\0b']) {
      t.is(await code(() => storage.read(path)), 'TROUPE_STORAGE_DENIED', path);
      t.is(await code(() => storage.writeAtomic(path, bytesOf('x'))), 'TROUPE_STORAGE_DENIED', path);
      t.is(await code(() => storage.remove(path)), 'TROUPE_STORAGE_DENIED', path);
    }
  });

  conformance(
    'folders: made with their parents, listed in order, renamed and removed with all in them',
    async (t, storage) => {
      await storage.makeFolder('a/b');
      await storage.makeFolder('a/b');
      await storage.writeAtomic('a/b/2', bytesOf('2'));
      await storage.writeAtomic('a/b/1', bytesOf('1'));
      await storage.writeAtomic('a/x', bytesOf('x'));
      t.deepEqual(await storage.list('a'), ['b', 'x']);
      t.deepEqual(await storage.list('a/b/'), ['1', '2']);
      t.deepEqual(await storage.list(''), ['a']);
      await storage.rename('a', 'c');
      await storage.syncFolder('');
      t.false(await storage.exists('a'));
      t.is(text(await storage.read('c/b/2')), '2');
      await storage.remove('c');
      t.deepEqual(await storage.list(''), []);
    },
  );

  conformance('rename replaces a file, but no folder that holds something', async (t, storage) => {
    await storage.makeFolder('f');
    await storage.makeFolder('g');
    await storage.writeAtomic('a', bytesOf('a'));
    await storage.writeAtomic('g/b', bytesOf('b'));
    await storage.writeAtomic('c', bytesOf('c'));
    await storage.rename('c', 'a');
    t.is(text(await storage.read('a')), 'c');
    t.is(await code(() => storage.rename('f', 'g')), 'TROUPE_STORAGE_FAILED');
    t.is(await code(() => storage.rename('a', 'g')), 'TROUPE_STORAGE_FAILED');
    t.is(text(await storage.read('g/b')), 'b');
    await storage.rename('g', 'f');
    t.is(text(await storage.read('f/b')), 'b');
  });

  conformance('a folder is no file and a file no folder', async (t, storage) => {
    await storage.makeFolder('f');
    await storage.writeAtomic('a', bytesOf('a'));
    t.is(await code(() => storage.read('f')), 'TROUPE_STORAGE_FAILED');
    t.is(await code(() => storage.sizeBytes('f')), 'TROUPE_STORAGE_FAILED');
    t.is(await code(() => storage.create('f')), 'TROUPE_STORAGE_FAILED');
    t.is(await code(() => storage.list('a')), 'TROUPE_STORAGE_FAILED');
    t.is(await code(() => storage.makeFolder('a')), 'TROUPE_STORAGE_FAILED');
  });
}

test('memory storage: a growing file that meets a full disk keeps what fitted', async (t) => {
  const storage = memoryStorage({ capacityBytes: 6 });
  const file = await storage.grow('log');
  file.append(bytesOf('abc'));
  t.is(await code(async () => file.append(bytesOf('defg'))), 'TROUPE_STORAGE_FULL');
  t.is(text(await storage.read('log')), 'abcdef');
});

test('memory storage: of a growing file lasts what was synced, once its name does; of the rest any part may be there', async (t) => {
  const storage = memoryStorage();
  const file = await storage.grow('log');
  const left = async (keptTail?: (bytes: number) => number): Promise<string> =>
    text(await storage.crash(0, {}, keptTail).read('log'));
  file.append(bytesOf('abc'));
  await file.sync();
  t.deepEqual(storage.crash().paths, []);
  t.is(storage.lasting('log'), null);
  file.append(bytesOf('de'));
  await storage.syncFolder('');
  t.is(await left(), 'abc');
  t.is(await left((bytes) => bytes - 1), 'abcd');
  t.is(text(storage.lasting('log') ?? bytesOf('')), 'abc');
  await file.sync();
  file.append(bytesOf('f'));
  t.is(await left(), 'abcde');
  await storage.writeAtomic('log', bytesOf('new'));
  t.is(await left(), 'new');
  const again = await storage.grow('log');
  again.append(bytesOf('er'));
  t.is(await left(), 'new');
  await again.sync();
  t.is(await left(), 'newer');
});

test('simulated disk: a loss of power leaves any part of what a growing file got since it was synced', async (t) => {
  const lengths = new Set<number>();
  for (let seed = 0; seed < 40; seed++) {
    const clock = new VirtualClock();
    const disk = new SimDisk(clock, prng({ seed, purpose: 'storage.test' }));
    const storage = disk.open(new SimProcess(nodeId('agent/0'), 1, clock));
    const now = async <T>(promise: Promise<T>): Promise<T> => {
      const seen = { isOver: false };
      const over = promise.finally(() => (seen.isOver = true));
      for (; !seen.isOver; await Promise.resolve()) clock.runNext();
      return over;
    };
    const file = await now(storage.grow('log'));
    await now(storage.syncFolder(''));
    file.append(bytesOf('abc'));
    await now(file.sync());
    file.append(bytesOf('defg'));
    t.is(text(disk.lasting('log') ?? bytesOf('')), 'abc');
    disk.strike({ kind: 'lost-unsynced', target: 'disk/0' });
    const left = text(await now(storage.read('log')));
    t.true('abcdefg'.startsWith(left), left);
    lengths.add(left.length);
  }
  t.deepEqual(
    [...lengths].toSorted((a, b) => a - b),
    [3, 4, 5, 6, 7],
  );
});

test('memory storage: a full disk fails the write, which can then only be aborted', async (t) => {
  const storage = memoryStorage({ capacityBytes: 10 });
  await storage.writeAtomic('old', bytesOf('12345'));
  const file = await storage.create('new');
  const error = await t.throwsAsync(() => file.write(bytesOf('123456')), { instanceOf: TroupeError });
  t.is(error?.code, 'TROUPE_STORAGE_FULL');
  t.true(error?.retryable);
  t.is(await code(() => file.commit()), 'TROUPE_STORAGE_FAILED');
  await file.abort();
  t.is(storage.usedBytes, 5);
  await storage.writeAtomic('new', bytesOf('12345'));
  t.deepEqual(storage.paths, ['new', 'old']);
});

test('memory storage: loss of power undoes unsynced names from the last one back', async (t) => {
  const storage = memoryStorage();
  await storage.makeFolder('f');
  await storage.syncFolder('');
  await storage.writeAtomic('f/a', bytesOf('a'));
  const file = await storage.create('f/pending');
  await file.write(bytesOf('lost'));
  await storage.rename('f', 'g');
  await storage.rename('g', 'h');
  t.is(storage.numUnsynced, 2);
  t.deepEqual(storage.crash().paths, ['f/a']);
  t.deepEqual(storage.crash(1).paths, ['g/a']);
  t.deepEqual(storage.crash(2).paths, ['h/a']);
  await storage.syncFolder('');
  t.deepEqual(storage.crash().paths, ['h/a']);
});

test('memory storage: tear and flipBit damage the disk itself, not its copies', async (t) => {
  const storage = memoryStorage();
  await storage.writeAtomic('a', Uint8Array.of(0, 0, 0));
  const copy = storage.crash();
  storage.flipBit('a', 9);
  storage.tear('a', 2);
  t.deepEqual([...(await storage.read('a'))], [0, 2]);
  t.deepEqual([...(await storage.crash().read('a'))], [0, 2]);
  t.deepEqual([...(await copy.read('a'))], [0, 0, 0]);
});

test('file storage: error numbers map to the four codes of the port', (t) => {
  const map = (errno: string): string =>
    storageError('p', Object.assign(new Error(errno), { code: errno })).code;
  for (const errno of ['ENOSPC', 'EDQUOT', 'EFBIG']) t.is(map(errno), 'TROUPE_STORAGE_FULL');
  for (const errno of ['EACCES', 'EPERM', 'EROFS']) t.is(map(errno), 'TROUPE_STORAGE_DENIED');
  t.is(map('ENOENT'), 'TROUPE_STORAGE_MISSING');
  t.is(map('EIO'), 'TROUPE_STORAGE_FAILED');
  t.true(storageError('p', Object.assign(new Error('x'), { code: 'ENOSPC' })).retryable);
});

test('file storage: a write beyond the limit of the system is TROUPE_STORAGE_FULL and leaves nothing', async (t) => {
  const root = await temporaryFolder(t);
  const module = new URL('file-storage.js', import.meta.url).href;
  const program = `
    const { fileStorage } = await import(${JSON.stringify(module)});
    const storage = fileStorage(${JSON.stringify(root)});
    await storage.writeAtomic('a', new Uint8Array(4096)).then(() => console.log('small ok'));
    await storage.writeAtomic('a', new Uint8Array(1 << 20)).catch((e) => console.log(e.code, e.retryable));
    console.log(await storage.sizeBytes('a'));`;
  // 64 KiB at most a file; the signal that would come with it is ignored, so that write answers EFBIG.
  const shell = `trap '' XFSZ; ulimit -f 64; exec "$0" --input-type=module -e "$1"`;
  const child = spawnSync('bash', ['-c', shell, process.execPath, program], { encoding: 'utf8' });
  t.is(child.stdout, 'small ok\nTROUPE_STORAGE_FULL true\n4096\n', child.stderr);
  t.deepEqual(await readdir(root), ['a']);
});

test('file storage: a folder without write permission is TROUPE_STORAGE_DENIED', async (t) => {
  if (process.getuid?.() === 0) {
    t.pass('the superuser may write everywhere');
    return;
  }
  const root = await temporaryFolder(t);
  await chmod(root, 0o500);
  t.is(await code(() => fileStorage(root).writeAtomic('a', bytesOf('x'))), 'TROUPE_STORAGE_DENIED');
  await chmod(root, 0o700);
});
