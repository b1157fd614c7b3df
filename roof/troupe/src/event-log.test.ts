import test from 'ava';
import { EventsDroppedError } from './errors.ts';
import { EventLog } from './event-log.ts';

test('event log: LOG-1, readers at any pace see every event in order', async (t) => {
  const log = new EventLog<number>(8);
  const readers = Array.from({ length: 3 }, async () => {
    const seen: number[] = [];
    for await (const value of log.stream()) {
      seen.push(value);
      if (seen.length === 4) await new Promise((resolve) => setImmediate(resolve));
    }
    return seen;
  });
  for (let value = 0; value < 20; value++) {
    log.push(value);
    await new Promise((resolve) => setImmediate(resolve));
  }
  log.end();
  log.push(99);
  const all = Array.from({ length: 20 }, (_, value) => value);
  t.deepEqual(await Promise.all(readers), [all, all, all]);
});

test('event log: LOG-1, who comes too late or is too slow hears how much is gone, and keeps nothing', async (t) => {
  const log = new EventLog<number>(4);
  const slow = log.stream()[Symbol.asyncIterator]();
  log.push(0);
  t.deepEqual(await slow.next(), { done: false, value: 0 });
  for (let value = 1; value < 10; value++) log.push(value);
  const message = /^events 2 to 6 of this run are kept no more \(the newest 4 are\); read from the start/;
  await t.throwsAsync(async () => slow.next(), { instanceOf: EventsDroppedError, message });
  const late = async () => {
    for await (const value of log.stream()) t.fail(String(value));
  };
  await t.throwsAsync(late, { code: 'TROUPE_EVENTS_DROPPED', message: /^events 1 to 6/ });
});

test('event log: whoever leaves a loop early leaves nothing behind, and the others read on', async (t) => {
  const log = new EventLog<number>(4);
  const other = log.stream()[Symbol.asyncIterator]();
  const next = other.next();
  log.push(1);
  for await (const value of log.stream()) {
    t.is(value, 1);
    break;
  }
  t.deepEqual(await next, { done: false, value: 1 });
  const end = other.next();
  log.end();
  t.deepEqual(await end, { done: true, value: undefined });
});
