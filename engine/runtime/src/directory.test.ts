import test from 'ava';
import { address, nodeId } from '@troupe/core';
import { Directory } from './directory.ts';

const moved = address('expert/L0/ep0/edp0');
const other = address('expert/L0/ep1/edp0');

test('Directory: an address lives where the topology says, in its first life, and costs nothing', (t) => {
  const directory = new Directory((name) => nodeId(name === moved ? 'worker/0' : 'worker/1'));
  t.deepEqual(directory.lookup(moved), { node: nodeId('worker/0'), incarnation: 1 });
  t.deepEqual(directory.lookup(other), { node: nodeId('worker/1'), incarnation: 1 });
  t.is(directory.overlaySize, 0);
});

test('Directory: a move or a restart lies over the topology; the overlay grows with what changed', (t) => {
  const directory = new Directory(() => nodeId('worker/0'));
  directory.update(moved, { node: nodeId('worker/3'), incarnation: 2 });
  t.deepEqual(directory.lookup(moved), { node: nodeId('worker/3'), incarnation: 2 });
  t.deepEqual(directory.lookup(other), { node: nodeId('worker/0'), incarnation: 1 });
  directory.update(moved, { node: nodeId('worker/4'), incarnation: 3 });
  t.is(directory.lookup(moved).node, nodeId('worker/4'));
  t.is(directory.overlaySize, 1);
});

test('Directory: news of an older life is ignored', (t) => {
  const directory = new Directory(() => nodeId('worker/0'));
  directory.update(moved, { node: nodeId('worker/3'), incarnation: 4 });
  directory.update(moved, { node: nodeId('worker/9'), incarnation: 3 });
  directory.update(other, { node: nodeId('worker/9'), incarnation: 0 });
  t.is(directory.lookup(moved).node, nodeId('worker/3'));
  t.is(directory.lookup(other).node, nodeId('worker/0'));
});

test('Directory: what a replaced life of a node says is not heard, and a new life is learnt of from its first word', (t) => {
  const node = nodeId('worker/0');
  const directory = new Directory(() => node);
  t.true(directory.hears(node, 1));
  t.is(directory.overlaySize, 0, 'first lives cost nothing');
  t.true(directory.hears(node, 3));
  t.deepEqual(directory.lookup(moved), { node, incarnation: 3 });
  t.false(directory.hears(node, 1));
  t.false(directory.hears(node, 2));
  t.true(directory.hears(node, 3));
  t.true(directory.hears(nodeId('worker/1'), 1));
});
