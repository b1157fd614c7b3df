import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import test, { type ExecutionContext } from 'ava';
import { TroupeError } from '@troupe/core';
import { ownIdentity, startOf } from './process-identity.ts';
import { lockFolder, SILENCE_MS } from './writer-lock.ts';

function place(t: ExecutionContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'troupe-lock-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

const locked = { instanceOf: TroupeError, code: 'TROUPE_RUN_LOCKED' };

test('lock: one writer at a time, also within a process; the next one takes the next turn', async (t) => {
  const folder = place(t);
  const first = lockFolder(folder);
  const error = t.throws(() => lockFolder(folder), {
    ...locked,
    message: new RegExp(
      `is in use: process ${process.pid} on ${hostname()}, since 20.+Z, writes it; wait`,
      'u',
    ),
  });
  t.true(error?.retryable);
  await first.release();
  await first.release();
  const second = lockFolder(folder);
  t.deepEqual(readdirSync(folder), ['writer-000002.lock']);
  await first.release();
  t.throws(() => lockFolder(folder), locked, 'the first one has nothing left to give back');
  await second.remove();
  t.deepEqual(readdirSync(folder), []);
});

const own = ownIdentity();
const writeOwner = (folder: string, owner: unknown): string => {
  const path = join(folder, 'writer-000007.lock');
  writeFileSync(path, typeof owner === 'string' ? owner : JSON.stringify(owner));
  return path;
};

test('lock: an owner is gone when its id belongs to nobody, or to another process by now', async (t) => {
  for (const gone of [
    { ...own, pid: 2 ** 22 + 1 },
    { ...own, start: `${own.start}0` },
    // The test runner itself: the id of a process that lives, with the start of another one.
    { ...own, pid: process.ppid },
  ]) {
    const folder = place(t);
    writeOwner(folder, { ...gone, since: 'x' });
    const lock = lockFolder(folder);
    t.deepEqual(readdirSync(folder), ['writer-000008.lock']);
    await lock.release();
  }
  const alive = place(t);
  writeOwner(alive, { ...own, pid: process.ppid, start: startOf(process.ppid), since: 'x' });
  t.throws(() => lockFolder(alive), locked);
});

test('lock: an owner that cannot be seen from here is waited for until it gave no sign for ten minutes', async (t) => {
  for (const hidden of [
    { ...own, host: 'another-machine', since: 'x' },
    { ...own, space: 'pid:[1]', since: 'x' },
    // Cut off by a loss of power.
    '{"pid": 1',
    '',
  ]) {
    const folder = place(t);
    const path = writeOwner(folder, hidden);
    t.throws(() => lockFolder(folder), {
      ...locked,
      message:
        /cannot be seen from here: it counts as gone after 10 minutes without a sign; if it is gone, remove .*writer-000007\.lock$/u,
    });
    const then = new Date(Date.now() - SILENCE_MS - 5000);
    utimesSync(path, then, then);
    await lockFolder(folder).release();
  }
});

/** Processes that wait for a line, try to take the lock of `folder` at once, say how it went and keep what they have until they are told to end. */
function contender(folder: string): ChildProcess {
  const program = `
    import { createInterface } from 'node:readline';
    const { lockFolder } = await import(${JSON.stringify(new URL('writer-lock.js', import.meta.url).href)});
    const lines = createInterface(process.stdin)[Symbol.asyncIterator]();
    console.log('ready');
    for (;;) {
      const { value, done } = await lines.next();
      if (done) break;
      if (value === 'die') process.kill(process.pid, 'SIGKILL');
      try { globalThis.lock = lockFolder(${JSON.stringify(folder)}); console.log('won'); }
      catch (error) { console.log(error.code ?? String(error)); }
    }
    await globalThis.lock?.release();`;
  return spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
}

test('lock: of many that find the owner gone at the same moment one wins, round after round', async (t) => {
  const folder = place(t);
  let contenders = Array.from({ length: 6 }, () => contender(folder));
  t.teardown(() => contenders.forEach((each) => each.kill('SIGKILL')));
  const answers = new Map<ChildProcess, AsyncIterator<string>>();
  const answer = async (each: ChildProcess): Promise<string> => {
    let lines = answers.get(each);
    if (lines === undefined)
      answers.set(each, (lines = createInterface(each.stdout!)[Symbol.asyncIterator]()));
    return String((await lines.next()).value);
  };
  t.deepEqual(new Set(await Promise.all(contenders.map(answer))), new Set(['ready']));
  for (let round = 1; contenders.length > 0; round++) {
    for (const each of contenders) each.stdin?.write('try\n');
    const found = await Promise.all(contenders.map(answer));
    t.is(found.filter((each) => each === 'won').length, 1, `round ${round}: ${found.join(', ')}`);
    t.is(found.filter((each) => each === 'TROUPE_RUN_LOCKED').length, contenders.length - 1);
    const winner = contenders[found.indexOf('won')];
    winner?.stdin?.write('die\n');
    if (winner) await once(winner, 'exit');
    contenders = contenders.filter((each) => each !== winner);
    t.is(JSON.parse(readFileSync(join(folder, readdirSync(folder)[0] ?? ''), 'utf8')).pid, winner?.pid);
  }
});
