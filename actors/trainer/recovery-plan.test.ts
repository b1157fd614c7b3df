import test from 'ava';
import { resolveTopology } from '@troupe/topology';
import { addresses, Layout } from '@troupe/topology/layout';
import { planRecovery, type HeldState } from './recovery-plan.ts';

/** @param perMachine - devices of a machine, which decides how far away buddies are; absent: no buddies */
function layoutWith(dp: number, ep: number, zero: 0 | 1, perMachine?: number): Layout {
  const { model, ...rest } = resolveTopology({
    model: { layers: 1, moe: { experts: 4 } },
    train: { batch: dp, grains: dp, microbatches: 1 },
    parallel: { dp, ep, zero },
    recovery: { buddies: perMachine !== undefined },
  });
  const devices = Array.from({ length: perMachine ?? dp });
  const machines = Array.from({ length: dp / devices.length }, (_, index) => ({
    host: `m${index}`,
    devices,
  }));
  return new Layout({ ...rest, model, machines });
}

const optimizer = (group: string, dp: number) => addresses.optimizer(group, { pp: 0, dp, tp: 0 });

const classes = ['dense', 'expert'] as const;

/** What shards hold at `version` when the workers of `lost` hold nothing. */
const held = (dp: number, lost: readonly number[], shift = 0): HeldState => {
  const of = (name: (rank: number) => number) =>
    new Map(
      Array.from({ length: dp }, (_, rank) => rank)
        .filter((rank) => !lost.includes(rank))
        .flatMap((rank) => classes.map((each) => [optimizer(each, name(rank)), 7] as const)),
    );
  return {
    versions: of((rank) => rank),
    copies: shift === 0 ? new Map() : of((rank) => (rank - shift + dp) % dp),
  };
};

const copies = (plan: ReturnType<typeof planRecovery>) =>
  plan?.filter(({ shard, from }) => shard !== from).map(({ shard, from }) => `${from} → ${shard}`);

test('planRecovery: whoever holds the version keeps it', (t) => {
  for (const zero of [0, 1] as const) {
    const plan = planRecovery(layoutWith(4, 2, zero), held(4, []), 7);
    t.is(plan?.length, 8);
    t.deepEqual(copies(plan), []);
  }
});

test('planRecovery: under ZeRO 0 a peer of the same class sends its copy; experts come from the same expert rank', (t) => {
  t.deepEqual(copies(planRecovery(layoutWith(4, 2, 0), held(4, [3]), 7)), [
    'optimizer/dense/dp0 → optimizer/dense/dp3',
    'optimizer/expert/dp1 → optimizer/expert/dp3',
  ]);
});

test('planRecovery: null when some state is held by nobody', (t) => {
  t.is(planRecovery(layoutWith(4, 2, 0), held(4, [1, 3]), 7), null, 'both copies of one expert rank');
  t.truthy(planRecovery(layoutWith(4, 2, 0), held(4, [2, 3]), 7));
  t.is(planRecovery(layoutWith(2, 2, 0), held(2, [1]), 7), null, 'experts with edp 1');
  t.is(planRecovery(layoutWith(2, 1, 1), held(2, [1]), 7), null, 'ZeRO 1: a slice has one owner');
});

test('planRecovery: another version is no state of this one', (t) => {
  const { versions, copies: none } = held(2, [1]);
  const behind = classes.map((each) => [optimizer(each, 1), 6] as const);
  const mixed: HeldState = { versions: new Map([...versions, ...behind]), copies: none };
  t.deepEqual(copies(planRecovery(layoutWith(2, 1, 0), mixed, 7)), [
    'optimizer/dense/dp0 → optimizer/dense/dp1',
    'optimizer/expert/dp0 → optimizer/expert/dp1',
  ]);
  t.is(planRecovery(layoutWith(2, 1, 0), mixed, 5), null);
});

test('planRecovery: BUD-1, what nobody else holds comes from the buddy; with both lost from nowhere', (t) => {
  const plan = planRecovery(layoutWith(4, 2, 1, 1), held(4, [3], 1), 7);
  t.deepEqual(copies(plan), [
    'optimizer/dense/dp0 → optimizer/dense/dp3',
    'optimizer/expert/dp0 → optimizer/expert/dp3',
  ]);
  t.true(plan?.every(({ shard, from, fromCopy }) => fromCopy === (shard !== from)));
  t.is(planRecovery(layoutWith(4, 2, 1, 1), held(4, [3, 0], 1), 7), null);
  t.truthy(planRecovery(layoutWith(4, 2, 1, 1), held(4, [3, 1], 1), 7), 'neighbours but one');
  t.truthy(planRecovery(layoutWith(4, 2, 1, 2), held(4, [3, 0], 2), 7), 'their buddies are elsewhere');
});

test('planRecovery: under ZeRO 0 twins come first; only experts with edp 1 have a buddy', (t) => {
  const plan = planRecovery(layoutWith(2, 2, 0, 1), held(2, [1], 1), 7) ?? [];
  t.deepEqual(
    plan.filter(({ shard, from }) => shard !== from).map(({ shard, fromCopy }) => [shard, fromCopy]),
    [
      [optimizer('dense', 1), false],
      [optimizer('expert', 1), true],
    ],
  );
});
