import test from 'ava';
import { openReferenceDevice } from '@troupe/kernels';
import type { Fault } from '@troupe/sim/faults';
import { referenceOf, simulate, type Simulation, type SimulationOptions } from 'troupe';
import type { Mixture } from '../mixtures/mixture.ts';
import { inPart } from '../mixtures/part.ts';
import { mixedCluster, type Surroundings } from '../sim/clusters.ts';
import { usual } from '../sim/corpus.ts';
import { crash, numbersOf } from './struck-tiny.ts';

const run = (
  mixture: Partial<Mixture>,
  around: Surroundings,
  options: Partial<SimulationOptions> = {},
): Promise<Simulation> => {
  const { topology, tokens } = mixedCluster({ ...usual, ...mixture }, { losses: 20, ...around });
  const openDevice = async () => openReferenceDevice({ dtype: 'f32' });
  return simulate(topology, { seed: 3, openDevice, tokens, checkpoints: true, stopAfter: 4, ...options });
};

interface Case {
  readonly mixture: Partial<Mixture>;
  readonly buddies: boolean;
  readonly faults: readonly Fault[];
  readonly from: readonly string[];
}

const cases: Readonly<Record<string, Case>> = {
  'a middle stage in steady 1F1B': {
    mixture: { pp: 3, microbatches: 6 },
    buddies: true,
    faults: [crash(1, { actor: 'pass/pp1/dp0/tp0/*', state: 'unattending', times: 30 })],
    from: ['peers+0'],
  },
  'the same of a stage that nobody keeps': {
    mixture: { pp: 3, microbatches: 6 },
    buddies: false,
    faults: [crash(1, { actor: 'pass/pp1/dp0/tp0/*', state: 'unattending', times: 30 })],
    from: ['snapshot+0'],
  },
  'the first stage while the second has its activations': {
    mixture: { pp: 2, dp: 2, ep: 2, microbatches: 2 },
    buddies: true,
    faults: [crash(0, { actor: 'gate/L3/pp1/dp0', state: 'awaitingRows', times: 3 })],
    from: ['peers+0'],
  },
  'the last stage, of which another replica has all': {
    mixture: { pp: 2, dp: 2, microbatches: 3, zero: 0 },
    buddies: false,
    faults: [crash(3, { actor: 'pass/pp1/dp1/tp0/*', state: 'heading', times: 4 })],
    from: ['peers+0'],
  },
  'a stage with a half of a tied table': {
    mixture: { pp: 2, dp: 2, microbatches: 2, model: 'tied' },
    buddies: true,
    faults: [crash(2, { actor: 'optimizer/embed/pp1/dp0/tp0', state: 'measuring', times: 2 })],
    from: ['peers+0'],
  },
  'a tensor peer that dispatches a part of the grains': {
    mixture: { tp: 2, dp: 2, ep: 2, sliced: false, segments: 4, microbatches: 2 },
    buddies: true,
    faults: [crash(1, { actor: 'gate/L3/pp0/dp0/tp1/backward', state: 'awaitingGradients', times: 3 })],
    from: ['peers+0'],
  },
  'the same of one whose experts are elsewhere': {
    mixture: { tp: 2, ep: 2, apart: 1, sliced: false, segments: 4, microbatches: 2, zero: 2 },
    buddies: true,
    faults: [crash(1, { actor: 'gate/L3/pp0/dp0/tp1', state: 'awaitingRows', times: 3 })],
    from: ['peers+0'],
  },
  'a stage of two chunks': {
    mixture: { pp: 2, microbatches: 2, pipeline: 'interleaved' },
    buddies: true,
    faults: [crash(1, { actor: 'pass/pp1/dp0/tp0/*', state: 'attending', times: 20 })],
    from: ['peers+0'],
  },
  'a stage that has shared its choices': {
    mixture: { pp: 2, dp: 2, ep: 2, microbatches: 3, pipeline: 'gpipe', model: 'global' },
    buddies: true,
    faults: [crash(0, { actor: 'stage/pp0/dp0/tp0', state: 'sharing', times: 2 })],
    from: ['peers+0'],
  },
  'a gate whose experts have dropped tokens': {
    mixture: { pp: 2, dp: 2, ep: 2, microbatches: 2, model: 'dropping' },
    buddies: true,
    faults: [crash(2, { actor: 'gate/L3/pp1/dp0/backward', state: 'awaitingGradients', times: 3 })],
    from: ['peers+0'],
  },
  'a stage between decision and update, then its buddy': {
    mixture: { pp: 3, dp: 2, microbatches: 2 },
    buddies: true,
    faults: [crash(2, { actor: 'trainer', state: 'committing', times: 2 }), crash(5, 4)],
    from: ['peers+0', 'peers+0'],
  },
  'what one stage sends the next': {
    mixture: { pp: 2, dp: 2, microbatches: 2 },
    buddies: true,
    faults: [{ kind: 'drop', target: 'worker/0,worker/2', atStep: 2, oneWay: true }],
    from: ['peers+0'],
  },
  'a worker whose buckets are under way': {
    mixture: { dp: 2, microbatches: 2, zero: 2 },
    buddies: true,
    faults: [crash(1, { actor: 'pass/pp0/dp1/tp0/*', state: 'unattending', times: 12 })],
    from: ['peers+0'],
  },
  'a worker that gathers weights, without a buddy': {
    mixture: { dp: 2, microbatches: 2, zero: 3 },
    buddies: false,
    faults: [crash(0, { actor: 'pass/pp0/dp1/tp0/*', state: 'wanting', times: 40 })],
    from: ['seed+1'],
  },
  'a stage of which each replica has a part alone': {
    mixture: { pp: 2, dp: 2, ep: 2, microbatches: 2, zero: 3, model: 'tied' },
    buddies: true,
    faults: [crash(2, { actor: 'pass/pp1/dp0/tp0/*', state: 'routing', times: 4 })],
    from: ['peers+0'],
  },
  'a tensor peer in the middle of a backward pass': {
    mixture: { dp: 2, tp: 2, ep: 2, microbatches: 2, segments: 4 },
    buddies: true,
    faults: [crash(1, { actor: 'pass/pp0/dp0/tp1/*', state: 'unattending', times: 6 })],
    from: ['peers+0'],
  },
  'a host between vote and update': {
    mixture: { dp: 2, microbatches: 2, offload: 'optimizer' },
    buddies: true,
    faults: [{ kind: 'crash', target: 'host/0', when: { actor: 'trainer', state: 'committing', times: 2 } }],
    from: ['peers+0'],
  },
  'a replica whose candidates others wait for': {
    mixture: { dp: 3, ep: 3, microbatches: 6, model: 'choice' },
    buddies: true,
    faults: [crash(1, { actor: 'gate/L3/pp0/dp1', state: 'nominating', times: 4 })],
    from: ['peers+0'],
  },
  'a replica that decides for others, on a stage': {
    mixture: { pp: 2, dp: 2, microbatches: 2, model: 'choice', zero: 3 },
    buddies: true,
    faults: [crash(2, { actor: 'gate/L3/pp1/dp0', state: 'awaitingThresholds', times: 2 })],
    from: ['peers+0'],
  },
  'a replica of a choice group, without a buddy': {
    mixture: { dp: 2, microbatches: 2, zero: 2, model: 'choice' },
    buddies: false,
    faults: [crash(1, { actor: 'gate/L1/pp0/dp1', state: 'awaitingCandidates', times: 9 })],
    from: ['snapshot+1'],
  },
  'thresholds on their way': {
    mixture: { dp: 2, microbatches: 6, model: 'choice' },
    buddies: true,
    faults: [{ kind: 'drop', target: 'worker/0,worker/1', atStep: 2, oneWay: true }],
    from: ['peers+0'],
  },
  ...Object.fromEntries(
    (['sgd', 'adafactor', 'muon'] as const).flatMap((optimizer): [string, Case][] => [
      [
        `a shard of ${optimizer}, which its buddy has`,
        {
          mixture: { dp: 2, ep: 2, zero: 1, microbatches: 2, optimizer },
          buddies: true,
          faults: [crash(1, { actor: 'trainer', state: 'committing', times: 2 })],
          from: ['peers+0'],
        },
      ],
      [
        `a shard of ${optimizer} that nobody has`,
        {
          mixture: { dp: 3, zero: 2, microbatches: 2, optimizer },
          buddies: false,
          faults: [crash(2, 4)],
          from: ['snapshot+1'],
        },
      ],
    ]),
  ),
  'a stage that hands the memory of an encoder on': {
    mixture: { pp: 3, microbatches: 3, model: 'translating' },
    buddies: true,
    faults: [crash(1, { actor: 'pass/pp1/dp0/tp0/*', state: 'unattending', times: 8 })],
    from: ['peers+0'],
  },
  'the last block of an encoder, which nobody keeps': {
    mixture: { pp: 2, dp: 2, microbatches: 2, model: 'encoder', zero: 3 },
    buddies: false,
    faults: [crash(0, { actor: 'gate/L1/pp0/dp0', state: 'awaitingRows', times: 9 })],
    from: ['snapshot+1'],
  },
  'two stages of one replica at once': {
    mixture: { pp: 3, dp: 2, microbatches: 2 },
    buddies: true,
    faults: [crash(0, 3), crash(2, 3)],
    from: ['peers+0'],
  },
};

for (const [name, { mixture, buddies, faults, from }] of inPart(Object.entries(cases), 0, 2)) {
  test(`recovery: ${name} is lost, and no number changes`, async (t) => {
    const around = { latencyMs: 0.5, buddies };
    const clean = await run(mixture, around);
    t.is(clean.result.error, null);
    const struck = await run(mixture, around, { faults, reference: referenceOf(clean.events) });
    t.is(struck.struck.length, faults.length, 'the faults struck');
    t.is(struck.violation, null);
    t.is(struck.result.error, null);
    t.deepEqual(numbersOf(struck), numbersOf(clean));
    t.deepEqual(
      struck.events.flatMap((event) =>
        event.event === 'recovered' ? [`${event.from}+${event.repeatedSteps}`] : [],
      ),
      from,
    );
  });
}
