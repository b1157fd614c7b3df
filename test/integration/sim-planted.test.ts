import test from 'ava';
import { messages } from '@troupe/actors';
import { openReferenceDevice } from '@troupe/kernels';
import type { Fault } from '@troupe/sim/faults';
import {
  bucketsAnswered,
  bucketsCredited,
  copiesKept,
  gradientsOnce,
  rowsConserved,
  seatsAgree,
  shrink,
  versionsAgree,
} from '@troupe/sim';
import { referenceOf, simulate, type Plant, type Simulation, type SimulationOptions } from 'troupe';
import type { Mixture } from '../mixtures/mixture.ts';
import { mixedCluster } from '../sim/clusters.ts';
import { usual } from '../sim/corpus.ts';
import { plantedBugs } from './planted-bugs.ts';
import { simulatedTiny } from './sim-tiny.ts';
import { simulateTiny, withCheckpoints } from './struck-tiny.ts';

/** Seven faults that wake every planted bug, and that the actors survive without them. */
const faults: readonly Fault[] = [
  { kind: 'hang', target: 'worker/1', atStep: 1, forMs: 300 },
  { kind: 'clog', target: 'worker/0', atStep: 1, forMs: 50 },
  { kind: 'delay', target: 'worker/0,worker/1', atStep: 1, forMs: 400 },
  { kind: 'slow', target: 'worker/1', atStep: 1, forMs: 400 },
  { kind: 'skew', target: 'worker/0', atStep: 2, forMs: 100, factor: 2 },
  { kind: 'delay', target: 'worker/1,agent/0', atStep: 1, forMs: 400 },
  { kind: 'nan', target: 'worker/0', atStep: 2 },
];

const bugs = {
  'a gradient applied twice': /^gradients-once$/,
  'a buffer reused before it was sent': /^bytes-intact$/,
  'an output reused before it was sent': /^bytes-intact$/,
  'a dropped row': /^rows-conserved$/,
  'a lost unsynced manifest': /^manifests-complete$/,
  'a mailbox without bound': /^bounds-hold$/,
} as const;

const run = (options: Partial<SimulationOptions>): Promise<Simulation> =>
  simulatedTiny(3, { checkpoints: true, ...options });

test('planted bugs: without one, the same faults violate nothing', async (t) => {
  const clean = await run({});
  const { violation, result, struck } = await run({ faults, reference: referenceOf(clean.events) });
  t.is(violation, null);
  t.is(result.error, null);
  t.is(struck.length, faults.length);
});

for (const [name, checker] of Object.entries(bugs)) {
  test(`planted bugs: ${name} is found, and shrunk to at most three faults`, async (t) => {
    const plant = plantedBugs[name];
    t.truthy(plant);
    const seen = await run({ faults, plant: plant ?? {} });
    t.regex(seen.violation?.checker ?? 'none', checker);
    const found = seen.violation?.checker;
    const smallest = await shrink(
      { faults, steps: 2, set: [] },
      {
        overrides: [],
        fails: async (candidate) => {
          const again = await run({
            faults: candidate.faults,
            stopAfter: candidate.steps,
            plant: plant ?? {},
          });
          return again.violation?.checker === found;
        },
      },
    );
    t.true(smallest.faults.length <= 3, JSON.stringify(smallest));
    t.log(seen.violation?.text);
    t.log(JSON.stringify(smallest));
  });
}

/** Those that only a buddy, or the curve without faults, lets be seen: two of three faults have nothing to do with them. */
const guarded = {
  'a measure counted twice': {
    faults: [
      { kind: 'delay', target: 'worker/1,agent/0', atStep: 1, forMs: 400 },
      { kind: 'clog', target: 'worker/0', atStep: 1, forMs: 50 },
      { kind: 'hang', target: 'worker/0', atStep: 2, forMs: 300 },
    ],
    // The agent's sums are on their way to the trainer when they change.
    checker: 'bytes-intact',
  },
  'a sum reused before its copy has it': {
    faults: [
      { kind: 'delay', target: 'worker/0,worker/1', atStep: 1, forMs: 400 },
      { kind: 'clog', target: 'agent/0', atStep: 1, forMs: 50 },
      { kind: 'hang', target: 'worker/0', atStep: 2, forMs: 300 },
    ],
    checker: 'bytes-intact',
  },
  'a copy that misses an update': {
    faults: [
      { kind: 'slow', target: 'worker/1', atStep: 1, forMs: 400 },
      { kind: 'clog', target: 'agent/0', atStep: 1, forMs: 50 },
      { kind: 'crash', target: 'worker/0', when: { actor: 'trainer', state: 'training', times: 3 } },
    ],
    checker: 'loss-curve',
  },
  'an update where the version before is read': {
    faults: [
      { kind: 'slow', target: 'worker/1', atStep: 2, forMs: 400 },
      { kind: 'clog', target: 'agent/0', atStep: 1, forMs: 50 },
      { kind: 'hang', target: 'worker/0', atStep: 3, forMs: 300 },
    ],
    checker: 'loss-curve',
  },
  'a state reused before its copy has it again': {
    faults: [
      { kind: 'slow', target: 'worker/1', atStep: 1, forMs: 400 },
      { kind: 'crash', target: 'worker/0', atStep: 2 },
      {
        kind: 'delay',
        target: 'worker/0,worker/1',
        when: { actor: 'trainer', state: 'recovering.rebuilding' },
        forMs: 400,
      },
    ],
    checker: 'bytes-intact',
  },
} as const satisfies Readonly<
  Record<string, { readonly faults: readonly Fault[]; readonly checker: string }>
>;

for (const [name, { faults: struck, checker }] of Object.entries(guarded)) {
  test(`planted bugs: ${name} is found, and shrunk to the faults that it needs`, async (t) => {
    const topology = withCheckpoints({ dp: 2, ep: 2, buddies: true });
    const clean = await simulateTiny(topology, { stopAfter: 4 });
    const play = (candidate: readonly Fault[], plant: Plant) =>
      simulateTiny(topology, {
        stopAfter: 4,
        faults: candidate,
        plant,
        reference: referenceOf(clean.events),
      });
    t.is((await play(struck, {})).violation, null, 'without the bug');
    const plant = plantedBugs[name] ?? {};
    const seen = await play(struck, plant);
    t.is(seen.violation?.checker, checker, seen.result.error?.message);
    t.log(seen.violation?.text);
    const smallest = await shrink(
      { faults: struck, steps: 4, set: [] },
      {
        overrides: [],
        fails: async (one) => (await play(one.faults, plant)).violation?.checker === checker,
      },
    );
    t.true(smallest.faults.length <= 2, JSON.stringify(smallest));
  });
}

test('planted bugs: an arrival into a slot that is taken ends the run and says which', async (t) => {
  const { result } = await run({
    faults,
    plant: plantedBugs['an arrival into a slot that is taken'] ?? {},
  });
  t.is(result.error?.code, 'TROUPE_INVARIANT');
  t.regex(result.error?.message ?? '', /expert\/L\d+\/ep\d+\/edp\d+.*the place of an arrival is free/u);
});

/** Two stages under a link that is slow for a while. */
const staged = (plant: Plant): Promise<Simulation> => {
  const { topology, tokens } = mixedCluster({ ...usual, pp: 2, microbatches: 3 }, { latencyMs: 0.5 });
  const slow: Fault = { kind: 'delay', target: 'worker/0,worker/1', atStep: 1, forMs: 400 };
  const openDevice = async () => openReferenceDevice({ dtype: 'f32' });
  return simulate(topology, { seed: 3, openDevice, tokens, stopAfter: 2, faults: [slow], plant });
};

test('planted bugs: activations that come twice, or change on their way between stages, are found', async (t) => {
  t.is((await staged({})).result.error, null, 'without the bug');
  const twice = await staged(plantedBugs['an activation that comes twice'] ?? {});
  t.is(twice.result.error?.code, 'TROUPE_INVARIANT');
  t.regex(twice.result.error?.message ?? '', /stage\/pp1\/dp0\/tp0.*the place of an arrival is free/u);
  const reused = await staged(plantedBugs['an activation reused before it was sent'] ?? {});
  t.is(reused.violation?.checker, 'bytes-intact');
  t.regex(reused.violation?.text ?? '', /stage\/pp1\/dp0\/tp0 took up hidden.ready/);
});

test('planted bugs: candidates and thresholds that come twice, or change on their way between replicas, are found', async (t) => {
  const chosen = (plant: Plant): Promise<Simulation> => {
    const mixture = { ...usual, dp: 3, microbatches: 6, model: 'choice' } as const;
    const { topology, tokens } = mixedCluster(mixture, { latencyMs: 0.5 });
    const slow: Fault = { kind: 'delay', target: 'worker/0,worker/1', atStep: 1, forMs: 400 };
    const openDevice = async () => openReferenceDevice({ dtype: 'f32' });
    return simulate(topology, { seed: 3, openDevice, tokens, stopAfter: 2, faults: [slow], plant });
  };
  t.is((await chosen({})).result.error, null, 'without the bug');
  for (const what of ['candidates', 'thresholds']) {
    const { result } = await chosen(plantedBugs[`${what} that come twice`] ?? {});
    t.is(result.error?.code, 'TROUPE_INVARIANT');
    t.regex(result.error?.message ?? '', /gate\/L\d+\/pp0\/dp[012].*the place of an arrival is free/u);
  }
  const reused = await chosen(plantedBugs['candidates reused before they were sent'] ?? {});
  t.is(reused.violation?.checker, 'bytes-intact');
  t.regex(reused.violation?.text ?? '', /took up choice.candidates/u);
});

test('planted bugs: rows of an attempt that is over, taken up by who has heard of it, are found', async (t) => {
  const run = (plant: Plant): Promise<Simulation> =>
    simulateTiny(withCheckpoints({ dp: 4, ep: 2 }), {
      stopAfter: 3,
      plant,
      faults: [
        { kind: 'delay', target: 'worker/0,worker/1', atStep: 2, forMs: 4000 },
        {
          kind: 'crash',
          target: 'worker/3',
          when: { actor: 'gate/L0/pp0/dp0', state: 'awaitingRows', times: 2 },
        },
      ],
    });
  t.is((await run({})).violation, null, 'without the bug');
  const seen = await run(plantedBugs['an actor that stays in an attempt which is over'] ?? {});
  t.is(seen.violation?.checker, 'one-attempt', seen.result.error?.message);
  t.regex(seen.violation?.text ?? '', /expert\/L0\/.* took up rows\.dispatch of step 2/);
});

test('planted bugs: JRN-1, a decision that leaves before its record lasts is found', async (t) => {
  t.is((await run({})).violation, null, 'without the bug');
  for (const name of ['a record that is not synced', 'a decision that is sent before its record lasts']) {
    const { violation, result } = await run({ plant: plantedBugs[name] ?? {}, disk: { syncMs: 5 } });
    t.is(violation?.checker, 'decisions-recorded', result.error?.message);
    t.regex(violation?.text ?? '', /heard of the decision of step 1, attempt 1,/u);
  }
});

test('planted bugs: weights that change on their way from a host are found', async (t) => {
  const run = (plant: Plant): Promise<Simulation> => {
    const mixture = { ...usual, dp: 2, ep: 2, offload: 'optimizer' } as const;
    const { topology, tokens } = mixedCluster(mixture, { latencyMs: 0.5 });
    const slow: Fault = { kind: 'delay', target: 'host/0,worker/1', atStep: 1, forMs: 400 };
    const openDevice = async () => openReferenceDevice({ dtype: 'f32' });
    return simulate(topology, { seed: 3, openDevice, tokens, stopAfter: 2, faults: [slow], plant });
  };
  t.is((await run({})).result.error, null, 'without the bug');
  const seen = await run(plantedBugs['weights reused before they were brought'] ?? {});
  t.is(seen.violation?.checker, 'bytes-intact');
  t.regex(seen.violation?.text ?? '', /courier\/.* took up weights\.bring/);
});

/** Tensor peers with whole experts, one of which is slow for a while. */
const dealt = (mixture: Partial<Mixture>, plant: Plant): Promise<Simulation> => {
  const { topology, tokens } = mixedCluster(
    { ...usual, tp: 2, sliced: false, segments: 4, ...mixture },
    { latencyMs: 0.5 },
  );
  const slow: Fault = { kind: 'slow', target: 'worker/1', atStep: 1, forMs: 400 };
  const openDevice = async () => openReferenceDevice({ dtype: 'f32' });
  return simulate(topology, { seed: 3, openDevice, tokens, stopAfter: 2, faults: [slow], plant });
};

test('planted bugs: TEN-5, a grain that two tensor peers dispatch is found, wherever experts lie', async (t) => {
  for (const mixture of [{}, { ep: 2, apart: 1, microbatches: 2 }] as const) {
    const clean = await dealt(mixture, {});
    t.is(clean.violation, null, 'without the bug');
    t.is(clean.result.error, null);
    const twice = await dealt(mixture, plantedBugs['a grain that two tensor peers dispatch'] ?? {});
    t.is(twice.violation?.checker, 'rows-conserved', twice.result.error?.message);
    t.log(twice.violation?.text);
  }
});

test('checkers: the kinds of events that they look at are messages, or completions of shards', (t) => {
  const own = ['xstate.init', 'parameters.initialised', 'norm.measured', 'weights.applied'];
  const checkers = [
    gradientsOnce({}),
    bucketsAnswered(),
    bucketsCredited(new Map()),
    versionsAgree(),
    seatsAgree(),
    rowsConserved({ stages: new Map(), experts: 1 }),
    copiesKept(new Map()),
  ];
  for (const { name, kinds = [] } of checkers) {
    t.true(kinds.length > 0, name);
    for (const kind of kinds) t.true(Object.hasOwn(messages, kind) || own.includes(kind), `${name}: ${kind}`);
  }
});
