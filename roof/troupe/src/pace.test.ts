import test from 'ava';
import { Pace } from './pace.ts';

/** Times at which it lets a report through, asked every 100 ms. */
function reports(pace: Pace, clock: { nowMs: number }, untilMs: number): readonly number[] {
  const found: number[] = [];
  for (; clock.nowMs <= untilMs; clock.nowMs += 100) if (pace.isDue()) found.push(clock.nowMs);
  return found;
}

test('Pace: silent for a second, then ten reports a second apart, then one in ten seconds', (t) => {
  const clock = { nowMs: 0 };
  const pace = new Pace(() => clock.nowMs);
  t.deepEqual(
    reports(pace, clock, 31_000),
    [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 30].map((seconds) => 1000 * seconds),
  );
});

test('Pace: a task that is begun has its own first second', (t) => {
  const clock = { nowMs: 0 };
  const pace = new Pace(() => clock.nowMs);
  clock.nowMs = 950;
  pace.begin();
  t.deepEqual(reports(pace, clock, 2000), [1950]);
});
