import test from 'ava';
import { nodeId } from '@troupe/core';
import type { Fault } from '@troupe/sim/faults';
import { Checkers, nothingStale, shrink, SimWorld, Trace, type Violation } from '@troupe/sim';
import { plantedBugs } from './planted-bugs.ts';

const [agent, worker] = [nodeId('agent/0'), nodeId('worker/0')];
const header = Uint8Array.of(1);

/** A worker that reports every second, and an agent that begins its next life when the connection is lost. */
function play(faults: readonly Fault[], plant: (typeof plantedBugs)[string]): Violation | null {
  const checkers = new Checkers([nothingStale()]);
  const world: SimWorld = new SimWorld(new Trace(), {
    seed: 1,
    machineOf: () => 0,
    arrived: (_packet, arrival) => checkers.see(arrival),
    ...(plant?.network === undefined ? {} : { plant: plant.network }),
  });
  const watcher = world.open(agent, 1);
  watcher.transport.onPacket((_from, _lane, _packet, release) => release());
  const begin = (incarnation: number): void => {
    const { clock, transport } = world.open(worker, incarnation);
    const report = (): void => {
      transport.send(agent, 'control', { header, frames: [] });
      clock.after(1000, report);
    };
    report();
  };
  watcher.transport.onPeer((event) => {
    if (event.type === 'peer.lost') world.boot(worker, () => begin(event.incarnation + 1));
  });
  begin(1);
  for (const fault of faults)
    world.clock.after(fault.atMs ?? 0, () => world.strike(fault, { crashActor: () => {} }));
  while (world.clock.now() < 30_000 && checkers.violation === null) world.clock.runNext();
  return checkers.violation;
}

const faults: readonly Fault[] = [
  { kind: 'delay', target: 'worker/0,agent/0', atMs: 500, forMs: 900 },
  { kind: 'hang', target: 'worker/0', atMs: 2000, forMs: 9000 },
  { kind: 'clog', target: 'agent/0', atMs: 3000, forMs: 900 },
  { kind: 'skew', target: 'agent/0', atMs: 4000, forMs: 900, factor: 2 },
];

test('planted bugs: a stale incarnation accepted is found, and shrunk to at most three faults', async (t) => {
  t.is(play(faults, {}), null, 'without the bug the zombie is not heard');
  const plant = plantedBugs['a stale incarnation accepted'] ?? {};
  const found = play(faults, plant);
  t.is(found?.checker, 'nothing-stale');
  t.is(found?.text, 'agent/0 read a message of life 1 of worker/0, whose life 2 has begun');
  const smallest = await shrink(
    { faults, steps: 1, set: [] },
    { overrides: [], fails: async (one) => play(one.faults, plant)?.checker === 'nothing-stale' },
  );
  t.deepEqual(
    smallest.faults.map(({ kind }) => kind),
    ['hang'],
  );
});
