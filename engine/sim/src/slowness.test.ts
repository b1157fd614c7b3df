import test from 'ava';
import { slownessOf } from './slowness.ts';

const measured = {
  'experts.backward': 1.6,
  'head.loss': 1.2,
  'sum.squares': 1,
  'sum.reset': 3,
  'gather.scalars': 40,
  adamw: 1.1,
};

test('slowness: what was measured, else that of kin, else the median of all', (t) => {
  t.is(slownessOf('adamw', measured), 1.1);
  t.is(slownessOf('experts.backward.weight', measured), 1.6);
  t.is(slownessOf('head.finish', measured), 1.2);
  t.is(slownessOf('sum.add', measured), 2, 'between its two kin');
  t.is(slownessOf('gather', measured), 1.4, 'a longer name is no kin');
  t.is(slownessOf('gather', measured), 1.4, 'asked again');
  t.is(slownessOf('copy', {}), 1, 'nothing is known');
});
