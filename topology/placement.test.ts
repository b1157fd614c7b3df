import test from 'ava';
import * as fc from 'fast-check';
import { address, nodeId } from '@troupe/core';
import { addresses } from './layout/address.ts';
import { createPlacement } from './placement.ts';
import { matchesAddress } from './placement-rules.ts';
import { resolveTopology } from './resolve.ts';

const topology = (parallel: object, over: object = {}) =>
  resolveTopology({
    model: { layers: 2, moe: { experts: 12 } },
    train: { batch: 24, grains: 24 },
    parallel,
    ...over,
  });

test('createPlacement: places every role of dp 4, ep 2', (t) => {
  const placement = createPlacement(topology({ dp: 4, ep: 2 }));
  const home = Object.fromEntries(placement.actors.map((actor) => [actor.address, actor.node]));
  t.like(home, { trainer: 'agent/0', supervisor: 'agent/0', 'store/m0': 'agent/0' });
  for (const dp of [0, 1, 2, 3]) {
    const worker = `worker/${dp}`;
    t.like(home, {
      [`feeder/dp${dp}`]: worker,
      [`stage/pp0/dp${dp}/tp0`]: worker,
      [`pass/pp0/dp${dp}/tp0/s0`]: worker,
      [`pass/pp0/dp${dp}/tp0/s1`]: worker,
      [`gate/L0/pp0/dp${dp}`]: worker,
      [`gate/L1/pp0/dp${dp}`]: worker,
      [`expert/L0/ep${dp % 2}/edp${Math.floor(dp / 2)}`]: worker,
      [`expert/L1/ep${dp % 2}/edp${Math.floor(dp / 2)}`]: worker,
      [`optimizer/dense/dp${dp}`]: worker,
      [`optimizer/expert/dp${dp}`]: worker,
    });
  }
  t.is(placement.actors.length, 3 + 4 * 10);
  t.deepEqual(
    placement.nodes.map((node) => node.id as string),
    ['agent/0', 'worker/0', 'worker/1', 'worker/2', 'worker/3'],
  );
  t.is(placement.actorsOf(nodeId('worker/2')).length, 10);
});

test('createPlacement: workers follow machines and devices, stores their machines', (t) => {
  const machines = [{ devices: ['cpu:0'] }, { host: '127.0.0.1', devices: ['cpu:3', 'cpu:4/threads=2'] }];
  const { workers, agents, nodeOf } = createPlacement(topology({ dp: 3 }, { machines }));
  t.deepEqual(
    workers.map((w) => [w.id as string, w.host, w.device.id, w.device.threads, w.machineIndex]),
    [
      ['worker/0', 'localhost', 'cpu:0', 1, 0],
      ['worker/1', '127.0.0.1', 'cpu:3', 1, 1],
      ['worker/2', '127.0.0.1', 'cpu:4', 2, 1],
    ],
  );
  t.is(agents.length, 2);
  t.is(nodeOf('store/m1'), nodeId('agent/1'));
});

test('createPlacement: only layers with experts have gates, experts and expert optimizers', (t) => {
  const dense = createPlacement(resolveTopology({ model: {}, parallel: { dp: 2 } }));
  t.deepEqual(
    new Set(dense.actors.map((actor) => actor.role)),
    new Set(['trainer', 'supervisor', 'store', 'feeder', 'stage', 'pass', 'optimizer']),
  );
  const every2 = createPlacement(resolveTopology({ model: { layers: 4, moe: { every: 2 } } }));
  t.deepEqual(
    every2.actors.filter((actor) => actor.role === 'gate').map((actor) => actor.address as string),
    ['gate/L1/pp0/dp0', 'gate/L3/pp0/dp0'],
  );
});

test('createPlacement: an unknown address is an error that offers the nearest', (t) => {
  const placement = createPlacement(topology({ dp: 2 }));
  t.throws(() => placement.nodeOf('stage/pp0/dp2/tp0'), {
    code: 'TROUPE_ADDRESS_UNKNOWN',
    message: /nearest: stage\/pp0\/dp0\/tp0/,
  });
  t.throws(() => placement.withMoves(new Map([[address('expert/L9/ep0/edp0'), nodeId('worker/0')]])), {
    code: 'TROUPE_ADDRESS_UNKNOWN',
  });
});

test('createPlacement: addresses are unique and every node of an actor exists, whatever the mesh', (t) => {
  const shapes = fc.record({
    pp: fc.constantFrom(1, 2),
    ep: fc.constantFrom(1, 2, 3),
    edp: fc.constantFrom(1, 2),
    tp: fc.constantFrom(1, 2),
  });
  fc.assert(
    fc.property(shapes, ({ pp, ep, edp, tp }) => {
      const placement = createPlacement(topology({ pp, dp: ep * edp, ep, tp }));
      const nodes = new Set<string>(placement.nodes.map((node) => node.id));
      t.is(new Set(placement.actors.map((actor) => actor.address)).size, placement.actors.length);
      t.true(
        placement.actors.every(
          (actor) => nodes.has(actor.node) && placement.nodeOf(actor.address) === actor.node,
        ),
      );
      for (const gate of placement.actors.filter((actor) => actor.role === 'gate')) {
        const [, , stage, dp, peer = 'tp0'] = gate.address.split('/');
        t.is(gate.node, placement.nodeOf(`stage/${stage}/${dp}/${peer}`));
      }
    }),
    { numRuns: 40 },
  );
});

test('createPlacement: a moved stage takes its passes and gates along, a moved expert goes alone', (t) => {
  const start = createPlacement(topology({ dp: 2, ep: 2 }));
  const worker = nodeId('worker/1');
  const moved = start.withMoves(
    new Map([
      [addresses.stage({ pp: 0, dp: 0, tp: 0 }), worker],
      [addresses.expert(1, { ep: 0, edp: 0 }), worker],
    ]),
  );
  const changed = moved.actors
    .filter((actor) => start.nodeOf(actor.address) !== actor.node)
    .map((actor) => actor.address as string);
  t.deepEqual(changed.sort(), [
    'expert/L1/ep0/edp0',
    'gate/L0/pp0/dp0',
    'gate/L1/pp0/dp0',
    'pass/pp0/dp0/tp0/s0',
    'pass/pp0/dp0/tp0/s1',
    'stage/pp0/dp0/tp0',
  ]);
  t.is(start.nodeOf('stage/pp0/dp0/tp0'), nodeId('worker/0'));
});

test('createPlacement: placement rules move what they match, the last one wins', (t) => {
  const placement = { 'expert/L*/ep1/*': 'localhost/cpu:0', 'expert/L1/*': 'localhost/cpu:1' };
  const { nodeOf } = createPlacement(topology({ dp: 2, ep: 2 }, { placement }));
  t.is(nodeOf('expert/L0/ep1/edp0'), nodeId('worker/0'));
  t.is(nodeOf('expert/L1/ep1/edp0'), nodeId('worker/1'));
  t.is(nodeOf('expert/L1/ep0/edp0'), nodeId('worker/1'));
});

test('matchesAddress: a star stands for part of a segment, a last one for the rest', (t) => {
  t.true(matchesAddress('expert/L*/ep3/*', 'expert/L12/ep3/edp0'));
  t.false(matchesAddress('expert/L*/ep3/*', 'expert/L12/ep33/edp0'));
  t.true(matchesAddress('expert/*', 'expert/L0/ep0/edp0'));
  t.false(matchesAddress('expert/L1', 'expert/L1/ep0/edp0'));
  t.false(matchesAddress('expert.L1', 'expert/L1'));
  t.false(matchesAddress('s.age/*', 'stage/pp0'));
});
