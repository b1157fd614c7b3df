import test from 'ava';
import * as fc from 'fast-check';
import { address, nodeId } from '@troupe/core';
import { defaultHome } from './default-home.ts';
import { TopologyError } from './errors.ts';
import { workerRank } from './layout/rank.ts';
import { createPlacement } from './placement.ts';
import { matchesAddress } from './placement-rules.ts';
import { resolveTopology } from './resolve.ts';
import { refuseUnbuilt } from './unbuilt.ts';

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
  t.like(home, {
    trainer: 'lead/0',
    supervisor: 'lead/0',
    'agent/m0': 'agent/0',
    'store/m0': 'agent/0',
  });
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
  t.is(placement.actors.length, 4 + 4 * 10);
  t.deepEqual(
    placement.nodes.map((node) => node.id as string),
    ['lead/0', 'agent/0', 'worker/0', 'worker/1', 'worker/2', 'worker/3'],
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
    new Set(['trainer', 'supervisor', 'agent', 'store', 'feeder', 'stage', 'pass', 'optimizer']),
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

const devices = (count: number) => [{ devices: Array.from({ length: count }, (_, index) => `cpu:${index}`) }];

test('createPlacement: experts on workers without a stage, each with one group of all layers', (t) => {
  const placement = {
    'expert/L*/ep0/*': 'localhost/cpu:0',
    'expert/L*/ep1/*': 'localhost/cpu:1',
    'stage/*/dp0/*': 'localhost/cpu:2',
    'stage/*/dp1/*': 'localhost/cpu:3',
  };
  const resolved = topology({ dp: 2, ep: 2 }, { machines: devices(4), placement });
  t.like(resolved.parallel, { edp: 1, world: 4, expertWorkers: 2, devices: [2, 3, 0, 1] });
  const { nodeOf, workers, actorsOf } = createPlacement(resolved);
  t.deepEqual(
    workers.map(({ device }) => device.id),
    ['cpu:2', 'cpu:3', 'cpu:0', 'cpu:1'],
  );
  t.is(nodeOf('expert/L1/ep1/edp0'), nodeId('worker/3'));
  t.is(nodeOf('gate/L1/pp0/dp1'), nodeId('worker/1'));
  t.deepEqual(
    actorsOf(nodeId('worker/2')).map(({ address: each }) => each as string),
    ['expert/L0/ep0/edp0', 'expert/L1/ep0/edp0', 'optimizer/expert/ep0/edp0'],
  );
});

test('createPlacement: ep need not divide dp where experts lie apart, copies are dealt to replicas', (t) => {
  const rules = (order: string) => ({
    machines: devices(9),
    placement: Object.fromEntries(
      [0, 1, 2].flatMap((ep) =>
        [0, 1].map((edp) => [
          `expert/*/ep${ep}/edp${edp}`,
          `localhost/cpu:${3 + (order === 'ep-inner' ? edp * 3 + ep : ep * 2 + edp)}`,
        ]),
      ),
    ),
  });
  for (const rankOrder of ['ep-inner', 'edp-inner']) {
    const resolved = topology({ dp: 3, ep: 3, rankOrder }, rules(rankOrder));
    t.like(resolved.parallel, { edp: 2, expertWorkers: 6, devices: null });
    const { layout } = createPlacement(resolved);
    const copies = Array.from(layout.stageWorkers(), (worker) => layout.expertsFor(0, worker));
    t.deepEqual(
      copies.map((each) => each.map((name) => name as string)),
      [0, 0, 1].map((edp) => [0, 1, 2].map((ep) => `expert/L0/ep${ep}/edp${edp}`)),
    );
    for (const worker of layout.workers()) {
      if (layout.hasStage(worker)) continue;
      const gates = layout.gatesFor(1, worker);
      for (const [index, gate] of gates.entries()) {
        const source = [...layout.stageWorkers()].find((each) => layout.gateOf(1, each) === gate);
        t.is(layout.sourceOf(1, source ?? worker), index);
        t.true(source !== undefined && layout.expertsFor(1, source).includes(layout.expertOf(1, worker)));
      }
    }
  }
});

test('createPlacement: experts apart are whole, and tensor peers send to them', (t) => {
  const placement = { 'expert/*': 'localhost/cpu:2' };
  const resolved = topology({ dp: 1, tp: 2 }, { machines: devices(3), placement });
  t.like(resolved.parallel, { expertsSliced: false, expertWorkers: 1, world: 3 });
  t.true(topology({ dp: 1, tp: 2 }, { machines: devices(2) }).parallel.expertsSliced);
  t.deepEqual(refuseUnbuilt(resolved, 'simulate'), []);
  const { layout, nodeOf } = createPlacement(resolved);
  t.deepEqual(
    layout.gatesFor(1, workerRank(2)).map((gate) => gate as string),
    ['gate/L1/pp0/dp0/tp0', 'gate/L1/pp0/dp0/tp1'],
  );
  t.is(nodeOf('expert/L1/ep0/edp0'), nodeId('worker/2'));
  t.is(defaultHome(resolved)(address('expert/L1/ep0/edp0')), nodeId('worker/2'));
});

test('createPlacement: rules put the shards on hosts, as offload optimizer does', (t) => {
  const machines = ['a', 'b'].map((host) => ({ host, devices: ['cpu:0', 'cpu:1'] }));
  const of = (parallel: object, over: object) =>
    topology({ dp: 4, ep: 2, zero: 2, ...parallel }, { machines, ...over });
  const expected = createPlacement(of({ offload: 'optimizer' }, {}));
  t.is(expected.nodeOf('optimizer/expert/dp3'), nodeId('host/1'));
  const onHosts = (host: string, dps: readonly number[]) =>
    Object.fromEntries(dps.map((dp) => [`optimizer/*/dp${dp}`, `${host}/host:0`]));
  for (const placement of [
    { 'optimizer/*': 'host:0' },
    { 'optimizer/dense/*': 'host:0', 'optimizer/expert/*': 'host:0' },
    { ...onHosts('a', [0, 1]), ...onHosts('b', [2, 3]) },
    { 'optimizer/*': 'host:0', ...onHosts('b', [2]) },
  ]) {
    const resolved = of({}, { placement });
    t.is(resolved.parallel.offload, 'optimizer');
    t.deepEqual(createPlacement(resolved).actors, expected.actors);
    t.deepEqual(resolveTopology(resolved.file).parallel, resolved.parallel, 'TOP-2');
  }
  t.notThrows(() =>
    of(
      {},
      { placement: { 'optimizer/*': 'host:0' }, faults: [{ kind: 'crash', target: 'host/1', atStep: 1 }] },
    ),
  );
});

test('createPlacement: what a host cannot have, or not alone, is one error each', (t) => {
  const machines = ['a', 'b'].map((host) => ({ host, devices: ['cpu:0'] }));
  const cases: readonly (readonly [object, object, RegExp])[] = [
    [{}, { 'stage/*': 'host:0' }, /^a host has optimizer shards alone/],
    [{}, { '*/dense/*': 'a/host:0' }, /^a host has optimizer shards alone/],
    [
      {},
      { 'optimizer/*': 'host:1' },
      /^no machine has this device; .* for optimizer shards host:0, a\/host:0$/,
    ],
    [{}, { 'optimizer/*': 'c/host:0' }, /^no machine has this device/],
    [{}, { 'optimizer/*': 'a/host:0' }, /^optimizer\/dense\/dp1 lives on b\/host:0: shards lie on the host/],
    [
      {},
      { 'optimizer/expert/*': 'host:0' },
      /^leaves optimizer\/dense\/dp0 on its device: .*, all of them or none/,
    ],
    [
      {},
      { 'optimizer/*': 'host:0', 'optimizer/dense/*': 'a/cpu:0' },
      /^optimizer\/dense\/dp0 lives on a\/host:0: .*, all of them or none/,
    ],
    [
      { offload: 'optimizer' },
      { 'optimizer/dense/dp0': 'a/cpu:0' },
      /^optimizer\/dense\/dp0 lives on a\/host:0/,
    ],
    [{}, { 'optimizer/*': 'host:0', 'optimizer/none/*': 'host:0' }, /^matches no actor/],
  ];
  for (const [parallel, placement, message] of cases) {
    const error = t.throws(() => topology({ dp: 2, ep: 2, ...parallel }, { machines, placement }), {
      instanceOf: TopologyError,
    });
    t.is(error.problems.length, 1, JSON.stringify(error.problems));
    t.is(error.problems[0]?.code, 'TROUPE_TOPOLOGY_PLACEMENT');
    t.regex(error.problems[0]?.rule ?? '', message);
  }
});

test('createPlacement: rules that no worker can follow are one error each', (t) => {
  const cases: readonly (readonly [object, object, number, RegExp])[] = [
    [
      { dp: 2 },
      { 'stage/*': 'localhost/cpu:1' },
      2,
      /stage\/pp0\/dp0\/tp0 and stage\/pp0\/dp1\/tp0 on localhost\/cpu:1; a worker has one stage/,
    ],
    [{ dp: 2 }, { 'stage/pp0/dp0/tp0': 'localhost/cpu:1' }, 2, /a worker has one stage at most/],
    [
      { dp: 2, ep: 2 },
      { 'expert/L1/*': 'localhost/cpu:1' },
      2,
      /expert\/L1\/ep0\/edp0 lives on localhost\/cpu:0: experts lie beside/,
    ],
    [
      { dp: 1 },
      { trainer: 'localhost/cpu:0' },
      1,
      /trainer lives on lead\/0: rules place stages and experts/,
    ],
    [
      { dp: 1 },
      { 'optimizer/*': 'localhost/cpu:1', 'expert/*': 'localhost/cpu:1' },
      2,
      /optimizer\/dense\/dp0 lives on localhost\/cpu:0/,
    ],
    [
      { dp: 1 },
      { 'expert/L1/*': 'localhost/cpu:1' },
      2,
      /leaves expert\/L0\/ep0\/edp0 on a worker with a stage/,
    ],
    [
      { dp: 1 },
      { 'expert/L0/*': 'localhost/cpu:1', 'expert/L1/*': 'localhost/cpu:2' },
      3,
      /copies of 1 groups, and dp 1/,
    ],
    [
      { dp: 2 },
      { 'expert/L0/*': 'localhost/cpu:2', 'expert/L1/*': 'localhost/cpu:3' },
      4,
      /experts of ep0\/edp0 on localhost\/cpu:2 and localhost\/cpu:3; a worker has those of all layers/,
    ],
    [
      { dp: 1, ep: 2 },
      {
        'expert/L0/ep0/*': 'localhost/cpu:1',
        'expert/L0/ep1/*': 'localhost/cpu:2',
        'expert/L1/ep0/*': 'localhost/cpu:2',
        'expert/L1/ep1/*': 'localhost/cpu:1',
      },
      3,
      /ep0\/edp0 on localhost\/cpu:1 and localhost\/cpu:2; a worker has those of all layers/,
    ],
    [
      { dp: 2 },
      { 'expert/*': 'localhost/cpu:2' },
      4,
      /experts of ep0\/edp0 and ep0\/edp1 on localhost\/cpu:2; a worker has those of one group/,
    ],
    [
      { dp: 2, ep: 2 },
      { 'expert/*': 'localhost/cpu:2' },
      5,
      /workers without a stage 3 is not divisible by ep 2/,
    ],
    [{ dp: 2 }, { 'stage/pp0/dp0/tp0': 'localhost/cpu:2' }, 3, /2 of 3 devices would work/],
    [
      { dp: 1, tp: 2, expertsSliced: true },
      { 'expert/*': 'localhost/cpu:2' },
      3,
      /experts on workers without a stage are whole, and true divides them over tp 2/,
    ],
    [
      { dp: 1, tp: 2 },
      { 'expert/*': 'localhost/cpu:2' },
      5,
      /have 3 copies of 1 groups, and dp 1 × tp 2 workers of a stage use one each at most/,
    ],
  ];
  for (const [parallel, placement, count, message] of cases) {
    const error = t.throws(() => topology(parallel, { machines: devices(count), placement }), {
      instanceOf: TopologyError,
    });
    t.is(error.problems.length, 1, JSON.stringify(error.problems));
    t.regex(error.problems[0]?.rule ?? '', message);
  }
});

test('matchesAddress: a star stands for part of a segment, a last one for the rest', (t) => {
  t.true(matchesAddress('expert/L*/ep3/*', 'expert/L12/ep3/edp0'));
  t.false(matchesAddress('expert/L*/ep3/*', 'expert/L12/ep33/edp0'));
  t.true(matchesAddress('expert/*', 'expert/L0/ep0/edp0'));
  t.false(matchesAddress('expert/L1', 'expert/L1/ep0/edp0'));
  t.false(matchesAddress('expert.L1', 'expert/L1'));
  t.false(matchesAddress('s.age/*', 'stage/pp0'));
});
