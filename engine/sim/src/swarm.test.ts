import { faultKinds } from './faults.ts';
import test from 'ava';
import { drawFaults } from './swarm.ts';

const states = {
  trainer: ['training', 'committing', 'recovering.restoring'],
  store: ['idle', 'writing'],
  optimizer: ['loading.reading', 'applying'],
  expert: ['serving.backwarding'],
};
const options = {
  steps: 5,
  numWorkers: 4,
  numMachines: 2,
  actors: ['expert/L0/ep0/edp0'],
  disks: true,
  watched: {
    actors: ['trainer', 'store/m0', 'optimizer/dense/dp0', 'optimizer/dense/dp1', 'expert/L0/ep0/edp0'],
    states,
  },
};
const SEEDS = 400;
const runs = Array.from({ length: SEEDS }, (_, seed) => drawFaults({ ...options, seed }));
const all = runs.flat();

test('swarm: faults strike at steps and when an actor of any role enters any of its states, for the n-th time', (t) => {
  t.deepEqual(drawFaults({ ...options, seed: 7 }), runs[7]);
  const whens = all.flatMap(({ when }) => (when === undefined ? [] : [when]));
  t.true(
    whens.length > all.length / 3 && whens.length < (2 * all.length) / 3 + all.length / 6,
    `${whens.length} of ${all.length}`,
  );
  for (const [role, names] of Object.entries(states))
    for (const state of names) {
      const seen = whens.filter((when) => when.actor.split('/')[0] === role && when.state === state);
      t.true(seen.length > 20, `${role} ${state}: ${seen.length}`);
      t.true(new Set(seen.map(({ times }) => times)).size > 3);
    }
  t.deepEqual(
    [...new Set(whens.map(({ actor }) => actor))].toSorted(),
    [...options.watched.actors, 'optimizer/dense/*', 'store/*', 'expert/*/*/*'].toSorted(),
  );
});

test('swarm: a run has up to twenty faults, of every kind and on every machine, and one NaN at most', (t) => {
  t.is(Math.max(...runs.map((faults) => faults.length)), 20);
  t.deepEqual(
    [...new Set(all.map(({ kind }) => kind))].toSorted(),
    faultKinds.map(({ kind }) => kind).toSorted(),
  );
  for (const target of ['machine/1', 'disk/1', 'lead/0', 'agent/0', 'agent/1', 'worker/3'])
    t.true(
      all.some((fault) => fault.target === target),
      target,
    );
  t.true(runs.every((faults) => faults.filter(({ kind }) => kind === 'nan').length <= 1));
});

test('swarm: without actors to watch, faults strike at steps alone', (t) => {
  const { watched: _, ...blind } = options;
  for (let seed = 0; seed < 50; seed++)
    t.true(
      drawFaults({ ...blind, seed }).every(({ atStep, when }) => atStep !== undefined && when === undefined),
    );
});
