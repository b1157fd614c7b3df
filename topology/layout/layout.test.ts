import test from 'ava';
import * as fc from 'fast-check';
import { denseUnits, expertUnits, wholeTensors } from '@troupe/spec';
import { resolveTopology } from '../resolve.ts';
import { GroupExchange } from './group-exchange.ts';
import { Layout, type LayoutSource } from './layout.ts';
import type { GroupName } from './parameter-group.ts';
import { stageIndex, workerRank } from './rank.ts';

const { model } = resolveTopology({
  model: { layers: 3, kvHeads: 2, tiedHead: true, moe: { experts: 12, every: 2 } },
});

interface Shape {
  readonly pp: number;
  readonly ep: number;
  readonly edp: number;
  readonly tp: number;
}

const sourceOf = (
  { pp, ep, edp, tp }: Shape,
  over: {
    readonly zero?: 0 | 1;
    readonly fanout?: number;
    readonly buddies?: boolean;
    readonly expertsSliced?: boolean;
  } = {},
): LayoutSource => ({
  model,
  parallel: {
    pp,
    dp: ep * edp,
    tp,
    ep,
    zero: over.zero ?? 1,
    expertsSliced: over.expertsSliced ?? true,
  },
  train: { batch: ep * edp, grains: ep * edp, microbatches: 1 },
  machines: [{ host: 'localhost', devices: Array.from({ length: pp * ep * edp * tp }) }],
  wire: { fanout: over.fanout ?? 8 },
  recovery: { buddies: over.buddies ?? false },
});

const shapes = fc.record({
  pp: fc.integer({ min: 1, max: 3 }),
  ep: fc.constantFrom(1, 2, 3, 4),
  edp: fc.integer({ min: 1, max: 3 }),
  tp: fc.constantFrom(1, 2, 4),
});

test('GRP-1: every unit is in one group of every worker that computes it, and all its holders have that group', (t) => {
  fc.assert(
    fc.property(shapes, fc.constantFrom(2, 8), fc.boolean(), (shape, fanout, expertsSliced) => {
      const layout = new Layout(sourceOf(shape, { fanout, expertsSliced }));
      const found = new Set<string>();
      for (const worker of layout.workers()) {
        const groups = layout.groupsOf(worker);
        const ids = groups.flatMap(({ units }) => units.map(({ id }) => id));
        t.is(new Set(ids).size, ids.length, 'no unit twice');
        t.is(new Set(groups.map(({ name }) => name)).size, groups.length, 'no name twice');
        for (const id of ids) found.add(id);
        const { blocks, hasEmbedding, hasHead } = layout.stagePlan(layout.at(worker).pp);
        const hasTable = ids.some((id) => /^embed(#|$)/.test(id));
        t.is(hasTable, hasEmbedding || hasHead, 'a tied table is on both ends');
        t.is(ids.includes('norm'), hasHead);
        for (const { units } of groups)
          for (const { layer } of units) t.true(layer === null || blocks.includes(layer));
        for (const group of groups) {
          for (const holder of group.holders) t.is(layout.groupOf(holder, group.name), group);
          t.is(group.holders.at(group.holders.positionOf(worker) ?? -1), worker);
        }
      }
      const all = Array.from(layout.mesh.peers('tp', 0), (worker) => {
        const held = layout.segmentsOf(layout.at(worker).tp);
        return [
          ...denseUnits(model, held),
          ...expertUnits(model, 1, expertsSliced ? held : wholeTensors),
        ].map(({ id }) => id);
      });
      t.deepEqual([...found].toSorted(), [...new Set(all.flat())].toSorted());
    }),
    { numRuns: 40 },
  );
});

test('PLA-3: where experts lie apart each worker of a stage is a source of every group once, in the order of ranks', (t) => {
  fc.assert(
    fc.property(shapes, fc.integer({ min: 1, max: 6 }), fc.boolean(), (shape, most, isEpInner) => {
      const source = sourceOf({ ...shape, edp: 1 });
      const copies = Math.min(most, shape.ep * shape.tp);
      const layout = new Layout({
        ...source,
        parallel: {
          ...source.parallel,
          expertsSliced: false,
          expertWorkers: copies * shape.ep,
          rankOrder: isEpInner ? 'ep-inner' : 'edp-inner',
        },
        machines: [
          {
            host: 'localhost',
            devices: Array.from({ length: shape.pp * shape.ep * shape.tp + copies * shape.ep }),
          },
        ],
      });
      const layer = 1;
      const stage = layout.stageOfBlock(layer);
      const gates = [...layout.stageWorkers()].filter((worker) => layout.at(worker).pp === stage);
      const seen = new Map<string, string[]>();
      for (const worker of layout.workers()) {
        if (layout.hasStage(worker)) continue;
        const group = layout.expertPlaceOf(worker)?.ep ?? -1;
        const sent = layout.gatesFor(layer, worker);
        t.true(sent.length >= 1, 'every copy has a source');
        for (const [index, gate] of sent.entries()) {
          const from = gates.find((each) => layout.gateOf(layer, each) === gate) ?? worker;
          t.is(layout.sourceOf(layer, from), index);
          t.is(layout.expertsFor(layer, from)[group], layout.expertOf(layer, worker));
        }
        seen.set(`${group}`, [...(seen.get(`${group}`) ?? []), ...sent]);
      }
      const all = gates.map((worker) => layout.gateOf(layer, worker) as string);
      for (const sent of seen.values()) t.deepEqual(sent.toSorted(), all.toSorted());
    }),
    { numRuns: 40 },
  );
});

test('Layout: the shards of a group divide it without rest, and exchange among its holders', (t) => {
  fc.assert(
    fc.property(shapes, fc.constantFrom(2, 8), (shape, fanout) => {
      const layout = new Layout(sourceOf(shape, { fanout }));
      const groups = new Set([...layout.workers()].flatMap((worker) => layout.groupsOf(worker)));
      for (const group of groups) {
        const slices = Array.from(group.holders, (worker) => {
          const among = new GroupExchange(group, worker);
          for (let level = 0; level < among.exchange.numLevels; level++)
            for (const other of among.others(level)) {
              t.not(other.worker, worker);
              t.not(group.holders.positionOf(other.worker), null);
            }
          return among.slice;
        }).toSorted((a, b) => a.from - b.from || a.to - b.to);
        t.is(slices[0]?.from, 0);
        slices.forEach(({ to }, index) => t.is(to, slices[index + 1]?.from ?? group.flat.length));
      }
    }),
    { numRuns: 25 },
  );
});

test('Layout: two groups a worker while pp and tp are 1; more where they are not', (t) => {
  const namesOf = (shape: Shape): readonly (readonly string[])[] => {
    const layout = new Layout(sourceOf(shape));
    return Array.from({ length: shape.pp }, (_, pp) =>
      layout.groupsOf(layout.mesh.rankOf({ pp, dp: 0, tp: 0 })).map(({ name }) => name),
    );
  };
  t.deepEqual(namesOf({ pp: 1, ep: 2, edp: 2, tp: 1 }), [['dense', 'expert']]);
  t.deepEqual(namesOf({ pp: 3, ep: 2, edp: 2, tp: 1 }), [
    ['embed', 'dense'],
    ['dense', 'expert'],
    ['embed', 'dense'],
  ]);
  t.deepEqual(namesOf({ pp: 1, ep: 1, edp: 2, tp: 2 }), [['dense', 'replicated', 'expert']]);
  t.deepEqual(namesOf({ pp: 1, ep: 1, edp: 1, tp: 4 }), [['dense', 'replicated', 'heads', 'expert']]);
});

test('Layout: holders of tied tables are on both ends, those of norms are all tensor peers, those of experts copies', (t) => {
  const source = sourceOf({ pp: 2, ep: 2, edp: 1, tp: 2 });
  const layout = new Layout({ ...source, parallel: { ...source.parallel, stages: [1, 2] } });
  const holdersOf = (rank: number, name: GroupName): number[] => {
    const worker = workerRank(rank);
    return [...layout.holdersOf(layout.groupOf(worker, name))];
  };
  t.deepEqual(holdersOf(0, 'embed'), [0, 2, 4, 6]);
  t.deepEqual(holdersOf(5, 'replicated'), [4, 5, 6, 7]);
  t.deepEqual(holdersOf(1, 'dense'), [1, 3]);
  t.deepEqual(holdersOf(4, 'expert'), [4]);

  const wide = new Layout(sourceOf({ pp: 1, ep: 2, edp: 2, tp: 4 }, { expertsSliced: false }));
  const holders = (rank: number, name: GroupName): number[] => [
    ...wide.holdersOf(wide.groupOf(workerRank(rank), name)),
  ];
  t.deepEqual(holders(6, 'heads'), [2, 3, 6, 7, 10, 11, 14, 15]);
  t.deepEqual(holders(1, 'expert'), [0, 1, 2, 3, 8, 9, 10, 11]);
});

test('Layout: blocks are cut by FLOPs where the file does not say how many each stage has', (t) => {
  const source = sourceOf({ pp: 2, ep: 1, edp: 1, tp: 1 });
  const stagesOf = (layout: Layout) => [0, 1].map((pp) => layout.stagePlan(stageIndex(pp)).blocks);
  t.deepEqual(stagesOf(new Layout(source)), [[0, 1], [2]], 'a head costs more than a layer');
  const { parallel } = source;
  t.deepEqual(stagesOf(new Layout({ ...source, parallel: { ...parallel, stages: [1, 2] } })), [[0], [1, 2]]);
  const without = new Layout({ ...source, parallel: { ...parallel, stages: [1, 2] } });
  t.deepEqual(
    [0, 1].map((pp) => without.moeLayersOf(stageIndex(pp))),
    [[], [1]],
    'no stage needs experts',
  );
});

test('Layout: gates and experts of a group know each other, and stay inside it', (t) => {
  fc.assert(
    fc.property(shapes, (shape) => {
      const layout = new Layout(sourceOf({ ...shape, pp: 1 }));
      for (const worker of layout.workers()) {
        const { edp, tp } = layout.at(worker);
        const peer = shape.tp === 1 ? '' : `/tp${tp}`;
        t.deepEqual(
          layout.expertsFor(1, worker).map((each) => each as string),
          Array.from({ length: shape.ep }, (_, ep) => `expert/L1/ep${ep}/edp${edp}${peer}`),
        );
        t.true(layout.gatesFor(1, worker).includes(layout.gateOf(1, worker)));
        for (const peer of layout.mesh.peers('ep', worker))
          t.deepEqual(layout.gatesFor(1, peer), layout.gatesFor(1, worker));
      }
    }),
    { numRuns: 25 },
  );
});

test('Layout: an expert map of a layer decides whose units a group has', (t) => {
  const source = sourceOf({ pp: 1, ep: 2, edp: 1, tp: 1 });
  const experts = [
    [11, 0],
    [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
  ];
  const layout = new Layout({ ...source, parallel: { ...source.parallel, experts } });
  t.deepEqual(
    layout.groupOf(workerRank(0), 'expert').units.map(({ id }) => id),
    ['L1/expert0', 'L1/expert11'],
  );
  t.is(layout.groupOf(workerRank(1), 'expert').units.length, 10);
});

test('BUD: what one worker alone has is kept by one other, over all axes; what others hold too by nobody', (t) => {
  fc.assert(
    fc.property(shapes, fc.constantFrom<0 | 1>(0, 1), (shape, zero) => {
      const layout = new Layout(sourceOf(shape, { buddies: true, zero }));
      const kept = [...layout.workers()].flatMap((keeper) =>
        layout.wardsOf(keeper).map(({ group, worker }) => {
          t.is(layout.buddyOf(group, worker), keeper);
          t.not(worker, keeper);
          return String(layout.wardOf(group, worker));
        }),
      );
      const lonely = [...layout.workers()].flatMap((worker) =>
        layout
          .groupsOf(worker)
          .filter((group) => !(zero === 0 && group.holders.count > 1))
          .map((group) => layout.shardOf(group, worker).replace('optimizer/', 'ward/')),
      );
      const expected = layout.mesh.world > 1 ? lonely : [];
      t.deepEqual(kept.toSorted(), expected.toSorted());
    }),
    { numRuns: 30 },
  );
  const twins = new Layout(sourceOf({ pp: 1, ep: 2, edp: 1, tp: 1 }, { buddies: true, zero: 0 }));
  const first = workerRank(0);
  t.is(twins.buddyOf(twins.groupOf(first, 'dense'), first), null);
  t.is(Number(twins.buddyOf(twins.groupOf(first, 'expert'), first)), 1, 'experts that nobody else has');
});

test('Layout: of 65,536 devices nothing is listed', (t) => {
  const [dp, ep, perMachine] = [65_536, 4096, 8];
  let listed = 0;
  // Every device that is looked at counts.
  const devices = new Proxy([], {
    get: (_target, key) => {
      if (key === 'length') return perMachine;
      listed++;
      return undefined;
    },
  });
  const machines = Array.from({ length: dp / perMachine }, (_, index) => ({ host: `m${index}`, devices }));
  const big = { ...model, moe: model.moe && { ...model.moe, experts: ep } };
  const layout = new Layout({
    model: big,
    parallel: { pp: 1, dp, tp: 1, ep, zero: 1 },
    train: { batch: dp, grains: dp, microbatches: 1 },
    machines,
    wire: { fanout: 8 },
    recovery: { buddies: false },
  });
  const worker = workerRank(40_000);
  t.deepEqual(
    layout.groupsOf(worker).map(({ name, holders, exchange }) => [name, holders.count, exchange.length]),
    [
      ['dense', 65_536, 6],
      ['expert', 16, 2],
    ],
  );
  t.is(layout.holdersOf(layout.groupOf(worker, 'dense')).positionOf(worker), 40_000);
  t.deepEqual(layout.expertsOf(1, layout.at(worker).ep), [40_000 % ep]);
  t.is(layout.machineOf(worker), 5000);
  t.is(listed, 0);
});

test('Layout: names of what a worker has', (t) => {
  const layout = new Layout(sourceOf({ pp: 1, ep: 2, edp: 2, tp: 1 }));
  const worker = workerRank(3);
  t.deepEqual(
    [
      layout.feederOf(worker),
      layout.stageOf(worker),
      layout.gateOf(1, worker),
      layout.expertOf(1, worker),
      layout.storeOf(worker),
      layout.nodeOf(worker),
      ...layout.groupsOf(worker).map((group) => layout.shardOf(group, worker)),
    ].map(String),
    [
      'feeder/dp3',
      'stage/pp0/dp3/tp0',
      'gate/L1/pp0/dp3',
      'expert/L1/ep1/edp1',
      'store/m0',
      'worker/3',
      'optimizer/dense/dp3',
      'optimizer/expert/dp3',
    ],
  );
  t.deepEqual(layout.moeLayersOf(stageIndex(0)), [1]);
  t.false(layout.isAlone);
});
