import test from 'ava';
import type { Device } from '@troupe/kernel-set';
import { openReferenceDevice } from '@troupe/kernels';
import type { ResolvedTopology } from '@troupe/topology';
import { poisoned } from './poisoned-device.ts';
import { tinyTopology, trainTiny, type TinyLayout, type TinyRun } from './tiny-cluster.ts';

const RATE = 0.01;
const reference = async (): Promise<Device> => openReferenceDevice({ dtype: 'f32' });

/** The tiny model with sigmoid scores and a bias. */
function topologyOf(layout: TinyLayout & { readonly steps: number }, bias = RATE): ResolvedTopology {
  const topology = tinyTopology(layout);
  const { model } = topology;
  if (model.moe === null) throw new TypeError('the tiny model has experts');
  const router = { ...model.moe.router, scores: 'sigmoid' } as const;
  const moe = { ...model.moe, router, balance: { ...model.moe.balance, bias } };
  return { ...topology, model: { ...model, moe } };
}

const biases = ({ parameters }: TinyRun): readonly (readonly number[])[] =>
  [...parameters].flatMap(([name, values]) =>
    name.endsWith('.gate.e_score_correction_bias') ? [Array.from(values)] : [],
  );

const trained = (
  topology: ResolvedTopology,
  {
    stopAfter = topology.train.steps,
    open = reference,
  }: { stopAfter?: number; open?: typeof reference } = {},
) => trainTiny(topology, open, { stopAfter });

test('bias: takes one step of its rate a commit, in a cluster as in one process, and changes no norm', async (t) => {
  const alone = await trained(topologyOf({ dp: 1, ep: 1, steps: 1 }));
  const rate = Math.fround(RATE);
  const all = biases(alone).flat();
  t.true(all.every((each) => [rate, 0, -rate].includes(each)));
  t.true(all.includes(rate) && all.includes(-rate));
  const shared = await trained(topologyOf({ dp: 4, ep: 2, zero: 2, microbatches: 2, steps: 1 }));
  t.deepEqual(shared.hashes, alone.hashes);
  const without = await trained(topologyOf({ dp: 1, ep: 1, steps: 1 }, 0));
  t.is(without.hashes.gradNorms, alone.hashes.gradNorms);
  t.is(without.hashes.losses, alone.hashes.losses);
  for (const [name, values] of without.parameters) t.deepEqual(alone.parameters.get(name), values, name);
});

test('bias: a forced pattern that overloads experts moves every bias towards the mean', async (t) => {
  const run = await trained(topologyOf({ dp: 2, ep: 2, choice: 'skewed', steps: 3 }));
  for (const bias of biases(run)) {
    t.true(bias[0]! < 0, 'the expert of most tokens');
    t.true(bias.at(-1)! > 0, 'the one of fewest');
  }
  for (const { maxVio, maxExpertLoad } of run.steps) t.is(maxVio, maxExpertLoad - 1);
  t.true(run.steps.every(({ maxVio }) => maxVio > 0.3));
});

test('bias: stays as it is in a step that is skipped', async (t) => {
  const topology = topologyOf({ dp: 1, ep: 1, steps: 2 });
  const clean = poisoned(() => false);
  const once = await trained(topology, { stopAfter: 1, open: async () => clean.device });
  t.true(clean.sources.includes('bias.count'));
  const { device } = poisoned((index) => index >= clean.sources.length);
  const run = await trained(topology, { open: async () => device });
  t.deepEqual(
    run.steps.map(({ skipped }) => skipped),
    [false, true],
  );
  t.deepEqual(biases(run), biases(once));
  t.notDeepEqual(biases(await trained(topology)), biases(once));
});
