import test from 'ava';
import fc from 'fast-check';
import type { Address } from '@troupe/core';
import type { JournalRecord } from '@troupe/journal';
import { resolveTopology } from '@troupe/topology';
import { addresses, Layout, workerRank } from '@troupe/topology/layout';
import { planRecovery } from './recovery-plan.ts';
import type { Held } from './takeover.ts';
import { planTakeover } from './takeover-plan.ts';

interface Shape {
  readonly pp?: number;
  readonly dp: number;
  readonly tp?: number;
  readonly ep: number;
  readonly zero: 0 | 1 | 2 | 3;
  /** Devices of a machine, which decides how far away buddies are; absent: no buddies. */
  readonly perMachine?: number;
}

const { model, ...rest } = resolveTopology({ model: { layers: 3, tiedHead: true, moe: { experts: 4 } } });

function layoutWith({ pp = 1, dp, tp = 1, ep, zero, perMachine }: Shape): Layout {
  const world = pp * dp * tp;
  const devices = Array.from({ length: perMachine ?? world });
  return new Layout({
    ...rest,
    model,
    train: { batch: dp, grains: dp, microbatches: 1 },
    parallel: { pp, dp, tp, ep, zero },
    machines: Array.from({ length: world / devices.length }, (_, index) => ({ host: `m${index}`, devices })),
    recovery: { buddies: perMachine !== undefined },
  });
}

const optimizer = (group: string, dp: number) => addresses.optimizer(group, { pp: 0, dp, tp: 0 });

/** What shards and the copies of shards hold at version 7 when the workers of `lost` hold nothing. */
function held(layout: Layout, lost: readonly number[]): ReadonlyMap<Address, number> {
  const alive = [...layout.workers()].filter((worker) => !lost.includes(worker));
  return new Map(
    alive.flatMap((worker) => [
      ...layout.groupsOf(worker).map((group) => [layout.shardOf(group, worker), 7] as const),
      ...layout.wardsOf(worker).map((ward) => [layout.wardOf(ward.group, ward.worker), 7] as const),
    ]),
  );
}

const planned = (layout: Layout, lost: readonly number[]) => planRecovery(layout, held(layout, lost), 7);

const copies = (plan: ReturnType<typeof planRecovery>) =>
  plan?.filter(({ shard, from }) => shard !== from).map(({ shard, from }) => `${from} → ${shard}`);

test('planRecovery: whoever holds the version keeps it', (t) => {
  for (const zero of [0, 1] as const) {
    const plan = planned(layoutWith({ dp: 4, ep: 2, zero }), []);
    t.is(plan?.length, 8);
    t.deepEqual(copies(plan), []);
  }
});

test('planRecovery: under ZeRO 0 a peer of the same class sends its copy; experts come from the same expert rank', (t) => {
  t.deepEqual(copies(planned(layoutWith({ dp: 4, ep: 2, zero: 0 }), [3])), [
    'optimizer/dense/dp0 → optimizer/dense/dp3',
    'optimizer/expert/dp1 → optimizer/expert/dp3',
  ]);
});

test('planRecovery: null when some state is held by nobody', (t) => {
  t.is(planned(layoutWith({ dp: 4, ep: 2, zero: 0 }), [1, 3]), null, 'both copies of one expert rank');
  t.truthy(planned(layoutWith({ dp: 4, ep: 2, zero: 0 }), [2, 3]));
  t.is(planned(layoutWith({ dp: 2, ep: 2, zero: 0 }), [1]), null, 'experts with edp 1');
  t.is(planned(layoutWith({ dp: 2, ep: 1, zero: 1 }), [1]), null, 'ZeRO 1: a slice has one owner');
  t.is(planned(layoutWith({ pp: 2, dp: 1, ep: 1, zero: 0 }), [1]), null, 'a stage of one replica');
});

test('planRecovery: another version is no state of this one', (t) => {
  const layout = layoutWith({ dp: 2, ep: 1, zero: 0 });
  const behind = ['dense', 'expert'].map((each) => [optimizer(each, 1), 6] as const);
  const mixed = new Map([...held(layout, [1]), ...behind]);
  t.deepEqual(copies(planRecovery(layout, mixed, 7)), [
    'optimizer/dense/dp0 → optimizer/dense/dp1',
    'optimizer/expert/dp0 → optimizer/expert/dp1',
  ]);
  t.is(planRecovery(layout, mixed, 5), null);
});

test('planRecovery: BUD-1, what nobody else holds comes from the buddy; with both lost from nowhere', (t) => {
  const layout = layoutWith({ dp: 4, ep: 2, zero: 1, perMachine: 1 });
  t.deepEqual(copies(planned(layout, [3])), [
    'ward/dense/dp3 → optimizer/dense/dp3',
    'ward/expert/dp3 → optimizer/expert/dp3',
  ]);
  t.is(planned(layout, [3, 1]), null);
  t.truthy(planned(layout, [3, 2]), 'they do not keep each other');
});

test('planRecovery: under ZeRO 0 twins come first; only experts with edp 1 have a buddy', (t) => {
  const plan = planned(layoutWith({ dp: 2, ep: 2, zero: 0, perMachine: 1 }), [1]);
  t.deepEqual(copies(plan), [
    'optimizer/dense/dp0 → optimizer/dense/dp1',
    'ward/expert/dp1 → optimizer/expert/dp1',
  ]);
});

test('planRecovery: with buddies any one worker of any mesh may be lost, and every shard gets what was its own', (t) => {
  const shapes = fc.record({
    pp: fc.integer({ min: 1, max: 3 }),
    dp: fc.constantFrom(1, 2, 4),
    tp: fc.constantFrom(1, 2),
    zero: fc.constantFrom<0 | 1 | 2 | 3>(0, 1, 2, 3),
  });
  fc.assert(
    fc.property(shapes, fc.nat(), ({ pp, dp, tp, zero }, seed) => {
      const layout = layoutWith({ pp, dp, tp, ep: Math.min(dp, 2), zero, perMachine: 1 });
      const { world } = layout.mesh;
      if (world === 1) return;
      const lost = seed % world;
      const plan = planned(layout, [lost]) ?? [];
      const own = [...layout.workers()].flatMap((worker) =>
        layout.groupsOf(worker).map((group) => layout.shardOf(group, worker)),
      );
      t.deepEqual(
        plan.map(({ shard }) => shard),
        own,
      );
      const restored = plan.filter(({ shard, from }) => shard !== from);
      t.is(restored.length, layout.groupsOf(workerRank(lost)).length);
      for (const { shard, from } of restored) {
        const [, group, ...place] = String(from).split('/');
        t.is(group, String(shard).split('/')[1], 'of the same group');
        if (String(from).startsWith('ward/')) t.is(`optimizer/${[group, ...place].join('/')}`, String(shard));
      }
    }),
    { numRuns: 50 },
  );
});

const recordOfStep = (step: number, changes: Partial<JournalRecord> = {}): JournalRecord => ({
  epoch: 1,
  attempt: 1,
  step,
  replayed: false,
  decision: { apply: true, gradScale: 1, learningRate: 1, clock: step },
  sums: { norm: new BigInt64Array(2), loss: new BigInt64Array(2), layers: new BigInt64Array(0), dropped: 0 },
  reported: { event: 'step', step },
  seats: null,
  layout: '',
  membership: ['m0', 'm1'],
  lives: {},
  lossAgesMs: [],
  checkpoint: null,
  applied: [],
  ...changes,
});
const [first, second] = [addresses.agent(0), addresses.agent(1)];
const says = (attempt: number, decided: string, more: Partial<Held> = {}): Held => ({
  attempt,
  decided,
  applied: true,
  joined: [],
  records: [],
  ...more,
});
const takeover = (journal: readonly JournalRecord[], one: Held, other: Held) =>
  planTakeover(
    { step: 0 },
    journal,
    new Map([
      [first, one],
      [second, other],
    ]),
  );

test('takeover: TKO-3, the newest record that anybody has binds, in the journal or with one agent alone', (t) => {
  const [one, two] = [recordOfStep(1), recordOfStep(2)];
  t.is(takeover([one, two], says(1, '1/1'), says(1, '1/1')).step, 2);
  t.is(takeover([], says(1, '1/1', { records: [one] }), says(1, '2/1', { records: [one, two] })).step, 2);
  t.like(takeover([], says(1, ''), says(1, '')), { step: 0, record: null, attempt: 1 });
  const later = recordOfStep(1, { epoch: 2, attempt: 4 });
  t.like(takeover([one, two], says(4, '1/4', { records: [later] }), says(4, '2/1')), { step: 1, attempt: 4 });
});

test('takeover: TKO-4, told again are those who have not carried the decision out, while nobody has left its attempt', (t) => {
  const journal = [recordOfStep(1), recordOfStep(2)];
  const pending = (one: Held, other: Held): readonly Address[] => [...takeover(journal, one, other).pending];
  t.deepEqual(pending(says(1, '1/1'), says(1, '1/1')), [first, second], 'recorded, and nobody has heard');
  t.deepEqual(pending(says(1, '2/1'), says(1, '1/1')), [second]);
  t.deepEqual(pending(says(1, '2/1', { applied: false }), says(1, '2/1')), [first]);
  t.deepEqual(pending(says(1, '2/1'), says(1, '2/1')), []);
  t.deepEqual(pending(says(2, '2/1'), says(1, '2/1')), [], 'all that were left had carried it out');
  t.deepEqual(pending(says(1, '2/1'), says(-1, '')), [], 'one that has joined is in no attempt');
  t.is(takeover(journal, says(5, '2/1'), says(3, '2/1')).attempt, 5);
});

test('takeover: what was skipped, saved and proven follows from the records', (t) => {
  const skips = (step: number, saved: number) =>
    recordOfStep(step, {
      decision: { apply: false, gradScale: 1, learningRate: 1, clock: 1 },
      checkpoint: { step: saved, path: '' },
    });
  const went = recordOfStep(3, { checkpoint: { step: 2, path: '' } });
  const journal = [went, skips(4, 2), skips(5, 4)];
  t.like(takeover(journal, says(1, ''), says(1, '')), { skipped: 2, saved: 4, proven: 2 });
});
