import test from 'ava';
import { address } from '@troupe/core';
import { describeWait, type Wait } from './waits.ts';

const wait: Wait = {
  name: 'experts',
  owner: address('gate/L3/pp0/dp0'),
  awaited: [address('expert/L3/ep1/edp0')],
  reason: 'outputs of its rows',
  step: 12,
  layer: 3,
  microbatch: 0,
  sinceMs: 500,
  deadlineMs: 10_000,
};

test('describeWait: one sentence says who, for whom, for what, where and since when', (t) => {
  t.is(
    describeWait(wait, 10_500),
    'gate/L3/pp0/dp0 waits for expert/L3/ep1/edp0: outputs of its rows (step 12, layer 3, microbatch 0) since 10.0 s',
  );
});

test('describeWait: leaves out what does not apply and counts what would not fit', (t) => {
  const { step: _step, layer: _layer, microbatch: _microbatch, ...rest } = wait;
  t.is(
    describeWait(rest, 750),
    'gate/L3/pp0/dp0 waits for expert/L3/ep1/edp0: outputs of its rows since 0.3 s',
  );
  const awaited = Array.from({ length: 7 }, (_, ep) => address(`expert/L3/ep${ep}/edp0`));
  t.regex(describeWait({ ...wait, awaited }, 500), /ep3\/edp0 and 3 more: outputs/);
  t.notRegex(describeWait({ ...wait, awaited }, 500), /ep4/);
});
