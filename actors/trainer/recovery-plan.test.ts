import test from 'ava';
import { resolveTopology } from '@troupe/topology';
import { addresses } from '../addresses.ts';
import type { Job } from '../job.ts';
import { planRecovery } from './recovery-plan.ts';

/** Of a job, what a plan looks at. */
function jobWith(dp: number, ep: number, zero: 0 | 1): Job {
  const { model } = resolveTopology({ model: { layers: 1, moe: { experts: 4 } }, parallel: { dp, ep } });
  return { model, dp, ep, zero } as unknown as Job;
}

const classes = ['dense', 'expert'] as const;

/** What shards hold at `version` when the workers of `lost` hold nothing. */
const held = (dp: number, lost: readonly number[], version = 7) =>
  new Map(
    Array.from({ length: dp }, (_, rank) => rank)
      .filter((rank) => !lost.includes(rank))
      .flatMap((rank) => classes.map((each) => [addresses.optimizer(each, rank), version] as const)),
  );

const copies = (plan: ReturnType<typeof planRecovery>) =>
  plan?.filter(({ shard, from }) => shard !== from).map(({ shard, from }) => `${from} → ${shard}`);

test('planRecovery: whoever holds the version keeps it', (t) => {
  for (const zero of [0, 1] as const) {
    const plan = planRecovery(jobWith(4, 2, zero), held(4, []), 7);
    t.is(plan?.length, 8);
    t.deepEqual(copies(plan), []);
  }
});

test('planRecovery: under ZeRO 0 a peer of the same class sends its copy; experts come from the same expert rank', (t) => {
  t.deepEqual(copies(planRecovery(jobWith(4, 2, 0), held(4, [3]), 7)), [
    'optimizer/dense/dp0 → optimizer/dense/dp3',
    'optimizer/expert/dp1 → optimizer/expert/dp3',
  ]);
});

test('planRecovery: null when some state is held by nobody', (t) => {
  t.is(planRecovery(jobWith(4, 2, 0), held(4, [1, 3]), 7), null, 'both copies of one expert rank');
  t.truthy(planRecovery(jobWith(4, 2, 0), held(4, [2, 3]), 7));
  t.is(planRecovery(jobWith(2, 2, 0), held(2, [1]), 7), null, 'experts with edp 1');
  t.is(planRecovery(jobWith(2, 1, 1), held(2, [1]), 7), null, 'ZeRO 1: a slice has one owner');
});

test('planRecovery: another version is no state of this one', (t) => {
  const mixed = new Map([...held(2, [1], 7), ...held(2, [0], 6)]);
  t.deepEqual(copies(planRecovery(jobWith(2, 1, 0), mixed, 7)), [
    'optimizer/dense/dp0 → optimizer/dense/dp1',
    'optimizer/expert/dp0 → optimizer/expert/dp1',
  ]);
  t.is(planRecovery(jobWith(2, 1, 0), mixed, 5), null);
});
