import test from 'ava';
import fc from 'fast-check';
import { timeShares, type LoopActivity, type Span } from './shares.ts';

const turn = (start: number, end: number, slept: number): LoopActivity => ({
  start,
  end,
  slept,
  isMessage: false,
});
const packet = (start: number, end: number, slept: number): LoopActivity => ({
  ...turn(start, end, slept),
  isMessage: true,
});
const whole: readonly Span[] = [{ start: 0, end: 100 }];

test('timeShares: kernels come before what the event loop does meanwhile', (t) => {
  const shares = timeShares([turn(0, 10, 0), turn(60, 100, 50)], [{ start: 5, end: 60 }], whole);
  t.deepEqual(shares, { kernels: 55, messages: 0, eventLoop: 45, idle: 0 });
});

test('timeShares: sleep that a message ended is waiting for messages, other sleep is idling', (t) => {
  const shares = timeShares(
    [turn(0, 10, 0), packet(40, 50, 30), turn(50, 60, 30), turn(100, 100, 70)],
    [],
    whole,
  );
  t.deepEqual(shares, { kernels: 0, messages: 30, eventLoop: 30, idle: 40 });
});

test('timeShares: a gap in which the loop did not sleep is the loop at work', (t) => {
  // 20 between the turns, of which it slept 5: sockets, coding, garbage.
  const shares = timeShares([turn(0, 40, 0), packet(60, 100, 5)], [], whole);
  t.deepEqual(shares, { kernels: 0, messages: 5, eventLoop: 95, idle: 0 });
});

test('timeShares: only windows count, a call that begins before one is cut', (t) => {
  const windows = [
    { start: 10, end: 20 },
    { start: 50, end: 60 },
  ];
  const shares = timeShares(
    [packet(0, 1, 0), packet(15, 16, 14), packet(70, 80, 68)],
    [{ start: 18, end: 52 }],
    windows,
  );
  t.deepEqual(shares, { kernels: 4, messages: 15, eventLoop: 1, idle: 0 });
});

test('timeShares: while a process was restarted it was not at work', (t) => {
  const shares = timeShares([turn(0, 10, 500), packet(90, 100, 3)], [], whole);
  t.deepEqual(shares, { kernels: 0, messages: 80, eventLoop: 20, idle: 0 });
});

test('timeShares: a process that did nothing waited for messages', (t) => {
  t.deepEqual(timeShares([], [], whole), { kernels: 0, messages: 100, eventLoop: 0, idle: 0 });
  t.deepEqual(timeShares([], [], []), { kernels: 0, messages: 0, eventLoop: 0, idle: 0 });
});

const sorted = (numbers: readonly number[]): readonly number[] => [...numbers].sort((a, b) => a - b);
const spans = (times: readonly number[]): readonly Span[] =>
  Array.from({ length: times.length >> 1 }, (_, index) => ({
    start: times[2 * index] ?? 0,
    end: times[2 * index + 1] ?? 0,
  }));

test('timeShares: whatever happened, the four add up to the windows and none is negative', (t) => {
  const times = fc.uniqueArray(fc.integer({ min: 0, max: 1000 }), { maxLength: 40 }).map(sorted);
  fc.assert(
    fc.property(
      times,
      times,
      times,
      fc.array(fc.tuple(fc.integer({ min: 0, max: 200 }), fc.boolean()), { minLength: 20, maxLength: 20 }),
      (loop, device, steps, sleeps) => {
        let slept = 0;
        const activities = spans(loop).map((span, index) => {
          const [sleep = 0, isMessage = false] = sleeps[index] ?? [];
          slept += sleep;
          return { ...span, slept, isMessage };
        });
        const windows = spans(steps);
        const shares = timeShares(activities, spans(device), windows);
        const total = windows.reduce((sum, { start, end }) => sum + end - start, 0);
        t.true(Math.abs(Object.values(shares).reduce((sum, share) => sum + share, 0) - total) < 1e-6);
        t.true(Object.values(shares).every((share) => share >= 0));
      },
    ),
  );
});
