import test from 'ava';
import { createPlacement, diffTrajectory, resolveTopology, type ResolvedTopology } from '@troupe/topology';
import { diffRelayout } from './relayout-diff.ts';
import { keepingOpened, mustFollow } from './must-follow.ts';
import { proposeRelayout } from './propose.ts';

const topologyOf = (parts: object): ResolvedTopology =>
  resolveTopology({
    model: { vocab: 64, layers: 2, dModel: 16, heads: 2, seqLen: 8, moe: { experts: 4 } },
    data: { synthetic: 'zipf' },
    train: { steps: 10, batch: 8, grains: 8 },
    parallel: { dp: 2, ep: 2 },
    machines: { count: 2, devices: ['cpu:0'] },
    launcher: { kind: 'local' },
    ...parts,
  });
const plain = topologyOf({});
const apart = topologyOf({
  machines: { count: 2, devices: ['cpu:0', 'cpu:1'] },
  placement: {
    'stage/*/dp0/*': 'm0/cpu:0',
    'stage/*/dp1/*': 'm1/cpu:0',
    'expert/*/ep0/*': 'm0/cpu:1',
    'expert/*/ep1/*': 'm1/cpu:1',
  },
});

const homeOf = (topology: ResolvedTopology, address: string): string => {
  const { nodeOf, workers } = createPlacement(topology);
  const worker = workers.find(({ id }) => id === nodeOf(address));
  return `${worker?.host ?? ''}/${worker?.device.id ?? ''}`;
};

test('drain: the run on its other machines, reached as before, with the same numbers', (t) => {
  const next = proposeRelayout(plain, { kind: 'drain', machine: 'm0' });
  t.deepEqual(
    next.machines.map(({ host }) => host),
    ['m1'],
  );
  t.is(next.launcher?.kind, 'local');
  t.deepEqual(diffTrajectory(plain, next), []);
  t.throws(() => proposeRelayout(next, { kind: 'drain', machine: 'm0' }), {
    code: 'TROUPE_DRAIN',
    message: /m0: the run has m1, and no such machine/u,
  });
  t.throws(() => proposeRelayout(next, { kind: 'drain', machine: 'm1' }), { message: /no machine is left/u });
});

test('drain: m0 is the first of machines that are named otherwise', (t) => {
  const named = topologyOf({ machines: ['gpu-1', 'gpu-2'].map((host) => ({ host, devices: ['cpu:0'] })) });
  const next = proposeRelayout(named, { kind: 'drain', machine: 'm0' });
  t.deepEqual(
    next.machines.map(({ host }) => host),
    ['gpu-2'],
  );
});

test('migrate: a group of experts changes places with the one that is there', (t) => {
  const next = proposeRelayout(apart, { kind: 'migrate', pattern: 'expert/*/ep1/*', target: 'm0/cpu:1' });
  for (const layer of ['L0', 'L1']) {
    t.is(homeOf(next, `expert/${layer}/ep1/edp0`), 'm0/cpu:1');
    t.is(homeOf(next, `expert/${layer}/ep0/edp0`), 'm1/cpu:1');
  }
  t.is(homeOf(next, 'stage/pp0/dp0/tp0'), 'm0/cpu:0');
  const { diff, movedBytes } = diffRelayout(apart, next);
  t.false(diff.same);
  t.true((movedBytes ?? 0) > 0);
  const stages = proposeRelayout(plain, { kind: 'migrate', pattern: 'stage/*/dp0/*', target: 'm1/cpu:0' });
  t.is(homeOf(stages, 'stage/pp0/dp1/tp0'), 'm0/cpu:0');
});

test('migrate: what cannot live there is refused', (t) => {
  const ask = (pattern: string, target: string) => () =>
    proposeRelayout(apart, { kind: 'migrate', pattern, target });
  t.throws(ask('expert/*/ep9/*', 'm0/cpu:1'), {
    code: 'TROUPE_TOPOLOGY_INVALID',
    message: /matches no actor/u,
  });
  t.throws(ask('expert/*/ep1/*', 'm7/cpu:1'), { message: /no machine has this device/u });
  t.throws(ask('expert/*/ep1/*', 'm0/cpu:0'), { code: 'TROUPE_TOPOLOGY_INVALID' });
});

test('apply: only the same run follows, with the data that it has opened', (t) => {
  const choices = {
    stopAfter: 10,
    first: { step: 0, adamClock: 0, from: 'seed' },
    evaluationSequences: 0,
    checkpoints: true,
  } as const;
  const options = {
    checkpoints: { storage: null as never, folder: '' },
    report: () => {},
    logLevel: 'silent',
    peakFlops: null,
  } as const;
  const follow = (parts: object, given: object = options) => {
    const next = proposeRelayout(plain, { kind: 'apply', name: 'a.yaml', file: topologyOf(parts).file });
    mustFollow({ present: plain, next }, { ...options, ...given }, choices);
    return keepingOpened(plain, next);
  };
  const wide = follow({ parallel: { dp: 4, ep: 2 }, machines: { count: 2, devices: ['cpu:0', 'cpu:1'] } });
  t.is(wide.parallel.world, 4);
  t.is(wide.data, plain.data);
  t.is(wide.checkpoint.dir, plain.checkpoint.dir);
  t.throws(() => follow({ train: { steps: 12, batch: 8, grains: 8 } }), {
    code: 'TROUPE_RESUME_DIFFERS',
    message: /train\.steps/u,
  });
  t.throws(() => follow({ launcher: { kind: 'slurm' } }), {
    code: 'TROUPE_NOT_BUILT',
    message: /launcher slurm/u,
  });
  t.throws(() => follow({}, { checkpoints: null }), {
    code: 'TROUPE_NOT_BUILT',
    message: /without checkpoints/u,
  });
  const dialed = topologyOf({ launcher: { kind: 'dial' } });
  t.throws(() => mustFollow({ present: dialed, next: dialed }, options, choices), {
    code: 'TROUPE_NOT_BUILT',
    message: /agents dial/u,
  });
  t.throws(() => follow({}, { profile: {} }), { code: 'TROUPE_NOT_BUILT', message: /profiled/u });
});
