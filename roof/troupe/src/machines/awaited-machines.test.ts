import { VirtualClock } from '@troupe/sim';
import type { WaitingEvent } from '@troupe/telemetry';
import test from 'ava';
import { AwaitedMachines } from './awaited-machines.ts';

test('awaited machines: who is missing is told after a second and then now and then, until nobody is', (t) => {
  const clock = new VirtualClock();
  const told: WaitingEvent[] = [];
  const awaited = new AwaitedMachines({
    hosts: ['a', 'b', 'c'],
    clock,
    report: (event) => told.push(event),
  });
  const after = (seconds: number): readonly string[] => {
    const endMs = clock.now() + 1000 * seconds;
    clock.after(1000 * seconds, () => {});
    while (clock.nextMs <= endMs) clock.runNext();
    return told
      .splice(0)
      .map(({ machines, of, seconds: waited }) => `${machines.join()} of ${of}: ${waited}`);
  };
  for (const machine of [2, 0, 1]) awaited.await(machine);
  t.deepEqual(after(0.9), []);
  t.deepEqual(after(0.1), ['a,b,c of 3: 1']);
  awaited.came(0);
  awaited.await(1);
  t.deepEqual(after(10), ['b,c of 3: 6', 'b,c of 3: 11']);
  awaited.came(1);
  awaited.came(2);
  t.deepEqual(after(60), []);
  awaited.await(1);
  t.deepEqual(after(1), ['b of 3: 1']);
  awaited.close();
  t.deepEqual(after(60), []);
});
