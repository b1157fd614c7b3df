import test from 'ava';
import fc from 'fast-check';
import { Buddies, type HostRun } from './buddies.ts';
import { workerRank } from './rank.ts';

const runsOf = (machines: readonly (readonly [string, number])[]): readonly HostRun[] => {
  let first = 0;
  return machines.map(([host, count]) => {
    const run = { host, first, count };
    first += count;
    return run;
  });
};

const hostsOf = (runs: readonly HostRun[]): readonly string[] =>
  runs.flatMap(({ host, count }) => Array<string>(count).fill(host));

/** The buddy of every worker; -1: it has none. */
const buddiesOf = (machines: readonly (readonly [string, number])[]): readonly number[] => {
  const runs = runsOf(machines);
  const buddies = new Buddies(runs);
  return hostsOf(runs).map((_, rank) => buddies.of(workerRank(rank)) ?? -1);
};

test('buddies: half a ring further on, on another host where there is one', (t) => {
  t.deepEqual(buddiesOf([['a', 1]]), [-1], 'one worker has nobody');
  t.deepEqual(buddiesOf([['a', 2]]), [1, 0]);
  t.deepEqual(buddiesOf([['a', 5]]), [2, 3, 4, 0, 1]);
  const three = [
    ['a', 2],
    ['b', 2],
    ['c', 2],
  ] as const;
  t.deepEqual(buddiesOf(three), [3, 4, 5, 0, 1, 2]);
});

test('buddies: a host named twice is one, wherever its machines stand', (t) => {
  const machines = [
    ['a', 2],
    ['b', 2],
    ['a', 1],
    ['c', 1],
  ] as const;
  const hosts = hostsOf(runsOf(machines));
  buddiesOf(machines).forEach((buddy, rank) => t.not(hosts[buddy], hosts[rank]));
});

test('buddies: what a host with most of the workers has is kept by the others in turn', (t) => {
  const machines = [
    ['b', 1],
    ['a', 5],
    ['c', 1],
  ] as const;
  t.deepEqual(buddiesOf(machines), [1, 0, 6, 0, 6, 0, 3]);
});

test('buddies: of random clusters up to 4,096 devices each keeps as few as can be, elsewhere, and knows whose', (t) => {
  const machine = fc.tuple(fc.constantFrom('a', 'b', 'c', 'd', 'e'), fc.integer({ min: 1, max: 64 }));
  const random = fc.array(machine, { minLength: 1, maxLength: 20 });
  const even = fc
    .constantFrom(512, 4096)
    .map((world) => Array.from({ length: world / 8 }, (_, index) => [`m${index}`, 8] as const));
  t.notThrows(() =>
    fc.assert(
      fc.property(fc.oneof({ weight: 8, arbitrary: random }, even), (machines) => {
        const runs = runsOf(machines);
        const [hosts, buddies] = [hostsOf(runs), new Buddies(runs)];
        const world = hosts.length;
        const sizes = [...new Set(hosts)].map((host) => hosts.filter((each) => each === host).length);
        const most = Math.max(...sizes);
        const kept = new Map<number, number[]>();
        for (let rank = 0; rank < world; rank++) {
          const buddy = buddies.of(workerRank(rank));
          if (world === 1) return buddy === null;
          if (buddy === null || buddy === rank) return false;
          if (sizes.length > 1 && hosts[buddy] === hosts[rank]) return false;
          kept.set(buddy, [...(kept.get(buddy) ?? []), rank]);
        }
        const fewest = sizes.length > 1 ? Math.max(1, Math.ceil(most / (world - most))) : 1;
        return hosts.every((_, rank) => {
          const wards = [...buddies.wardsOf(workerRank(rank))].map(Number).toSorted((a, b) => a - b);
          return (
            wards.length <= fewest &&
            JSON.stringify(wards) === JSON.stringify((kept.get(rank) ?? []).toSorted((a, b) => a - b))
          );
        });
      }),
      { numRuns: 60 },
    ),
  );
});
