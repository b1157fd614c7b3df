import test from 'ava';
import * as fc from 'fast-check';
import { address, nodeId } from '@troupe/core';
import { defaultHome } from './default-home.ts';
import { createPlacement } from './placement.ts';
import { resolveTopology } from './resolve.ts';

test('defaultHome: computes for every address what the placement lists, whatever the mesh', (t) => {
  const mesh = fc.record({
    dp: fc.constantFrom(1, 2, 4, 6),
    ep: fc.constantFrom(1, 2),
    pp: fc.constantFrom(1, 2),
    tp: fc.constantFrom(1, 2),
    every: fc.constantFrom(1, 2),
    experts: fc.constantFrom(0, 12),
    cut: fc.constantFrom(1, 2),
    zero: fc.constantFrom(1, 2, 3),
  });
  fc.assert(
    fc.property(mesh, ({ dp, ep, pp, tp, every, experts, cut, zero }) => {
      if (dp % ep !== 0 || (experts === 0 && ep > 1)) return;
      const world = dp * pp * tp;
      const perMachine = world / (world % cut === 0 ? cut : 1);
      const machines = Array.from({ length: world / perMachine }, (_, machine) => ({
        host: `h${machine}`,
        devices: Array.from({ length: perMachine }, (__, device) => `cpu:${device}`),
      }));
      const topology = resolveTopology({
        model: { layers: 4, ...(experts === 0 ? { moe: null } : { moe: { experts, every } }) },
        train: { batch: 24, grains: 24 },
        parallel: { dp, ep, pp, tp, zero },
        machines,
      });
      const home = defaultHome(topology);
      const { actors } = createPlacement(topology);
      t.true(actors.length > 4);
      t.deepEqual(
        actors.map((actor) => home(actor.address)),
        actors.map(({ node }) => node),
      );
    }),
    { numRuns: 60 },
  );
});

test('defaultHome: what is not there is unknown, and rules are followed', (t) => {
  const topology = resolveTopology({ model: {}, parallel: { dp: 2 } });
  const home = defaultHome(topology);
  for (const name of [
    'feeder/dp2',
    'expert/L99/ep0/edp0',
    'store/m1',
    'gate/L0/pp1/dp0',
    'stage/pp00/dp0/tp0',
  ])
    t.throws(() => home(address(name)), { code: 'TROUPE_ADDRESS_UNKNOWN' }, name);
  const ruled = resolveTopology({
    model: {},
    parallel: { dp: 2 },
    machines: [{ devices: ['cpu:0', 'cpu:1'] }],
    placement: { 'stage/*/dp0/*': 'localhost/cpu:1', 'stage/*/dp1/*': 'localhost/cpu:0' },
  });
  t.is(defaultHome(ruled)(address('stage/pp0/dp0/tp0')), nodeId('worker/0'));
  t.deepEqual(
    createPlacement(ruled).workers.map(({ device }) => device.id),
    ['cpu:1', 'cpu:0'],
  );
});
