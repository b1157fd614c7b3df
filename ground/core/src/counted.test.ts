import test from 'ava';
import { counted } from './counted.ts';

test('counted: a number and its noun agree', (t) => {
  t.is(counted(0, 'device'), '0 devices');
  t.is(counted(1, 'device'), '1 device');
  t.is(counted(2, 'device'), '2 devices');
  t.is(counted(1, 'process', 'processes'), '1 process');
  t.is(counted(3, 'process', 'processes'), '3 processes');
});
