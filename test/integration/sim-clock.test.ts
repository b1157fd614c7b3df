import test from 'ava';
import fc from 'fast-check';
import { InvariantError } from '@troupe/core';
import { VirtualClock } from '@troupe/sim';

/** Runs everything that is armed and returns what ran, with its time. */
function drain(clock: VirtualClock, ran: string[]): readonly string[] {
  while (clock.runNext());
  return ran;
}

test('VirtualClock: events run in order of time, whatever the order of arming, and time jumps to each', (t) => {
  const clock = new VirtualClock();
  const ran: string[] = [];
  for (const delayMs of [30, 10, 20.5]) clock.after(delayMs, () => ran.push(`${delayMs} at ${clock.now()}`));
  t.is(clock.now(), 0);
  t.deepEqual(ran, [], 'nothing runs inside after()');
  t.deepEqual(drain(clock, ran), ['10 at 10', '20.5 at 20.5', '30 at 30']);
  t.is(clock.numEvents, 3);
  t.false(clock.runNext());
  t.is(clock.now(), 30, 'an empty clock stands still');
});

test('VirtualClock: SIM-1, equal times run in order of arming, those armed by an event of that time last', (t) => {
  const clock = new VirtualClock();
  const ran: string[] = [];
  clock.after(5, () => {
    ran.push('a');
    clock.after(0, () => ran.push('armed by a'));
  });
  clock.after(5, () => ran.push('b'));
  clock.after(5, () => ran.push('c'));
  t.deepEqual(drain(clock, ran), ['a', 'b', 'c', 'armed by a']);
  t.is(clock.now(), 5);
});

test('VirtualClock: delays chained inside events add up', (t) => {
  const clock = new VirtualClock();
  const times: number[] = [];
  const again = (): void => {
    times.push(clock.now());
    if (times.length < 4) clock.after(2.5, again);
  };
  clock.after(1, again);
  clock.after(100, () => {});
  while (clock.runNext());
  t.deepEqual(times, [1, 3.5, 6, 8.5]);
});

test('VirtualClock: a cancelled event never runs and costs no time; unknown and fired handles are ignored', (t) => {
  const clock = new VirtualClock();
  const ran: string[] = [];
  const late = clock.after(10, () => ran.push('late'));
  const first = clock.after(1, () => {
    ran.push('first');
    clock.cancel(late);
    clock.cancel(first);
  });
  clock.cancel(12345);
  t.is(clock.pending, 2);
  t.deepEqual(drain(clock, ran), ['first']);
  t.is(clock.pending, 0);
  t.is(clock.now(), 1);
  t.is(clock.numEvents, 1);
});

test('VirtualClock: a negative delay is a bug of the caller', (t) => {
  t.throws(() => new VirtualClock().after(-1, () => {}), { instanceOf: InvariantError });
  t.throws(() => new VirtualClock().after(Number.NaN, () => {}), { instanceOf: InvariantError });
});

test('VirtualClock: any program of arming and cancelling runs as a sorted list would', (t) => {
  const operation = fc.record({
    delayMs: fc.integer({ min: 0, max: 5 }),
    cancels: fc.option(fc.nat(30), { nil: undefined }),
  });
  fc.assert(
    fc.property(
      fc.array(operation, { maxLength: 40 }),
      fc.array(operation, { maxLength: 20 }),
      (before, during) => {
        const clock = new VirtualClock();
        const ran: number[] = [];
        const handles: number[] = [];
        const model: { atMs: number; id: number }[] = [];
        const apply = ({ delayMs, cancels }: (typeof before)[number]): void => {
          const id = handles.length;
          handles.push(clock.after(delayMs, () => onRun(id)));
          model.push({ atMs: clock.now() + delayMs, id });
          const victim = cancels === undefined ? undefined : handles[cancels];
          if (victim === undefined) return;
          clock.cancel(victim);
          const at = model.findIndex((entry) => entry.id === cancels);
          if (at >= 0) model.splice(at, 1);
        };
        const expected: number[] = [];
        const pending = [...during];
        const onRun = (id: number): void => {
          ran.push(id);
          // Sorting is stable, so equal times keep the order of arming.
          model.sort((a, b) => a.atMs - b.atMs);
          expected.push(model.shift()!.id);
          const next = pending.shift();
          if (next !== undefined) apply(next);
        };
        before.forEach(apply);
        while (clock.runNext());
        t.deepEqual(ran, expected);
        t.is(model.length, 0);
        t.is(clock.pending, 0);
      },
    ),
  );
});
