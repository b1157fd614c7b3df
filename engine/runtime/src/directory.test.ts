import test from 'ava';
import { address, nodeId } from '@troupe/core';
import { Directory } from './directory.ts';

test('Directory: an address lives where the topology says', (t) => {
  const expert = address('expert/L0/ep0/edp0');
  const directory = new Directory((name) => nodeId(name === expert ? 'worker/0' : 'worker/1'));
  t.is(directory.nodeOf(expert), nodeId('worker/0'));
  t.is(directory.nodeOf(address('expert/L0/ep1/edp0')), nodeId('worker/1'));
});

test('Directory: what a replaced life of a node says is not heard, and a new life is learnt of from its first word', (t) => {
  const node = nodeId('worker/0');
  const directory = new Directory(() => node);
  t.is(directory.incarnationOf(node), 1);
  t.true(directory.hears(node, 1));
  t.true(directory.hears(node, 3));
  t.is(directory.incarnationOf(node), 3);
  t.false(directory.hears(node, 1));
  t.false(directory.hears(node, 2));
  t.true(directory.hears(node, 3));
  t.true(directory.hears(nodeId('worker/1'), 1));
});
