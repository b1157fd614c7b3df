import test from 'ava';
import * as fc from 'fast-check';
import { diffTrajectory } from '../../trajectory.ts';
import { resolveTopology } from '../../resolve.ts';
import type { ResolvedTopology } from '../../resolved.ts';
import { planMemory } from '../memory.ts';
import { createPlacement } from '../../placement.ts';
import { evenGrains } from './even-grains.ts';
import { formatLosses } from './format.ts';
import { planLosses } from './losses.ts';
import { movedBytes } from './movement.ts';
import { shareDevices } from './survivors.ts';

const GIB = 2 ** 30;

const model = {
  vocab: 500,
  layers: 2,
  dModel: 64,
  heads: 4,
  seqLen: 32,
  moe: { experts: 8, topK: 2 },
};

const devices = (count: number): readonly string[] =>
  Array.from({ length: count }, (_, index) => `cpu:${index}`);

const resolved = (over: object): ResolvedTopology =>
  resolveTopology({ model, data: { synthetic: 'zipf' }, train: { batch: 48, grains: 48 }, ...over });

const shapes = fc
  .record({
    machines: fc.constantFrom(2, 3, 4),
    perMachine: fc.constantFrom(1, 2, 4),
    pp: fc.constantFrom(1, 2),
    tp: fc.constantFrom(1, 2),
    tensorSegments: fc.constantFrom(1 as const, 2 as const, 4 as const),
    zero: fc.constantFrom(0 as const, 1 as const, 3 as const),
    offload: fc.constantFrom('none' as const, 'optimizer' as const),
    buddies: fc.boolean(),
  })
  .filter(
    ({ machines, perMachine, pp, tp, tensorSegments, zero, offload }) =>
      (machines * perMachine) % (pp * tp) === 0 &&
      48 % ((machines * perMachine) / pp / tp) === 0 &&
      (tp === 1 || tensorSegments >= tp) &&
      (offload === 'none' || zero > 0),
  );

type Shape = typeof shapes extends fc.Arbitrary<infer T> ? T : never;

const topologyOf = ({ machines, perMachine, pp, tp, tensorSegments, zero, offload, buddies }: Shape) =>
  resolved({
    train: { batch: 48, grains: 48, tensorSegments },
    parallel: { pp, tp, dp: (machines * perMachine) / pp / tp, zero, offload },
    machines: { count: machines, devices: devices(perMachine) },
    recovery: { buddies },
  });

test('planLosses: every layout is a legal topology of the same run, on the devices that are left', (t) => {
  let shrunk = 0;
  fc.assert(
    fc.property(shapes, (shape) => {
      const topology = topologyOf(shape);
      const { single, pairs } = planLosses(topology, { memoryBytes: GIB });
      for (const { machines, layout, why } of [...single, ...pairs]) {
        if (layout === null) {
          t.true(why !== null && why !== '');
          continue;
        }
        shrunk++;
        const after = resolveTopology(layout.topology.file);
        t.deepEqual(diffTrajectory(topology, after), []);
        t.is(after.train.grains % (after.parallel.dp * after.train.microbatches), 0);
        t.is(after.train.tensorSegments % after.parallel.tp, 0);
        t.false(after.machines.some(({ host }) => machines.includes(host)));
        const all = (shape.machines - machines.length) * shape.perMachine;
        t.is(after.parallel.world + layout.idle, all);
        const memory = planMemory(after, createPlacement(after));
        t.true(memory.every(({ own }) => own.device <= GIB));
      }
    }),
    { numRuns: 8 },
  );
  t.true(shrunk > 10, `${shrunk}`);
});

test('planLosses: the fastest layout is taken, devices idle where grains do not divide, and a reason is given where none is', (t) => {
  const machines = { count: 4, devices: devices(1) };
  const train = { batch: 16, grains: 16 };
  const even = planLosses(resolved({ train, parallel: { dp: 4 }, machines }), { memoryBytes: GIB });
  const [first] = even.single;
  t.is(even.single.length, 4);
  t.like(first?.layout, { idle: 1, mixture: { pp: 1, dp: 2 } });
  t.true((first?.layout?.stepSeconds ?? 0) > (even.stepSeconds ?? Infinity));
  t.deepEqual(
    even.pairs.map(({ count, layout }) => [count, layout?.mixture.dp]),
    [[6, 2]],
  );
  const small = planLosses(resolved({ train, parallel: { dp: 4 }, machines }), { memoryBytes: 2 ** 20 });
  t.is(small.single[0]?.layout, null);
  t.regex(small.single[0]?.why ?? '', /fits their memory, 1\.00 MiB each/u);
  const lone = planLosses(resolved({ parallel: { dp: 1 } }), { memoryBytes: GIB });
  t.is(lone.single[0]?.why, 'no machine is left');
  const fewest = resolved({
    train,
    parallel: { dp: 4 },
    machines: { ...machines, min: 3 },
    recovery: { machines: 'shrink' },
  });
  t.is(planLosses(fewest, { memoryBytes: GIB }).pairs[0]?.why, '2 machines are left, and machines.min is 3');
  const placed = resolved({
    train,
    parallel: { dp: 4 },
    machines,
    placement: { 'stage/*/dp0/*': 'm3/cpu:0', 'stage/*/dp3/*': 'm0/cpu:0' },
  });
  t.regex(
    planLosses(placed, { memoryBytes: GIB }).single[3]?.why ?? '',
    /^placement\.stage.*no machine has this device/u,
  );
  const run = resolved({ train, parallel: { dp: 4 }, machines });
  const shown = formatLosses(even, run);
  t.regex(shown, /^The run ends with 76 for a machine that is lost and not back within 300 s/u);
  t.regex(
    formatLosses(even, fewest),
    /^Without a machine that is lost and not back within 300 s the run goes on so/u,
  );
  t.regex(shown, /any of 6 pairs like m0, m1 +pp 1 × dp 2 × tp 1/u);
  t.regex(shown, /grains 16 leave devices without work on 3 machines.*grains 12 with batch 12/u);
});

test('planLosses: tensor ranks stay where sums have no segments', (t) => {
  const over = { parallel: { dp: 2, tp: 2 }, machines: { count: 2, devices: devices(2) } };
  for (const tensorSegments of [1, 2] as const) {
    const topology = resolved({ train: { batch: 48, grains: 48, tensorSegments }, ...over });
    const sizes = planLosses(topology, { memoryBytes: GIB }).single.map(({ layout }) => layout?.mixture.tp);
    t.true(tensorSegments === 2 || sizes.every((tp) => tp === 2), sizes.join(' '));
  }
});

test('movedBytes: nothing moves to the machine that holds it, all of it to one that held nothing', (t) => {
  const topology = resolved({ parallel: { dp: 2, zero: 0 }, machines: { count: 2, devices: devices(1) } });
  const alone = resolved({ parallel: { dp: 1, zero: 0 }, machines: { count: 1, devices: devices(1) } });
  t.is(movedBytes(topology, topology, [0, 1]), 0);
  t.is(movedBytes(topology, alone, [1]), 0);
  const all = movedBytes(topology, alone, [2]);
  t.true(all > 0);
  const sliced = resolved({ parallel: { dp: 2, zero: 1 }, machines: { count: 2, devices: devices(1) } });
  const half = movedBytes(sliced, alone, [0]);
  t.true(half > 0.4 * all && half < 0.6 * all, `${half} of ${all}`);
});

test('evenGrains: the nearest grains that all numbers of machines divide', (t) => {
  const on = (count: number, grains: number): ResolvedTopology =>
    resolved({
      train: { batch: grains, grains },
      parallel: { dp: count },
      machines: { count, devices: devices(1) },
    });
  t.deepEqual(evenGrains(on(4, 16), 2), { uneven: [3], nearest: { grains: 12, batch: 12 } });
  t.deepEqual(evenGrains(on(4, 24), 2), { uneven: [], nearest: null });
});

test('shareDevices: machines use as many devices each as there are, and the first ones one more', (t) => {
  t.deepEqual(shareDevices([2, 2, 2], 6), [2, 2, 2]);
  t.deepEqual(shareDevices([2, 2, 2], 4), [2, 1, 1]);
  t.deepEqual(shareDevices([1, 4], 4), [1, 3]);
});
