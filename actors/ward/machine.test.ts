import test from 'ava';
import { acceptedOf, leafStates, Play } from '../testing/play.ts';
import { wardMachine } from './machine.ts';

const kinds = [
  'ward.state',
  'ward.sum',
  'commit.decide',
  'weights.applied',
  'shard.send',
  'attempt.abandon',
  'experts.move',
  'experts.state',
  'ward.kept',
  'step.open',
] as const;
const part = (from: number, to: number, version = 0) => ({ version, body: { from, to } });

test('ward: BUD-3, holds a version once all of its parts are here', (t) => {
  const play = new Play(wardMachine, { size: 20 });
  t.deepEqual(play.send('ward.state', part(0, 12)), ['keepState']);
  t.like(play.context['copy'], { version: -1 });
  t.deepEqual(play.send('ward.state', part(12, 20)), ['keepState']);
  t.like(play.context['copy'], { version: 0 });
});

test('ward: BUD-2, carries each decision out, says so, and leaves an attempt behind it', (t) => {
  const visited = new Set<string>();
  const play = new Play(wardMachine, { size: 20 }, visited);
  play.send('ward.state', part(0, 20));
  t.deepEqual(play.send('ward.sum', part(0, 20)), ['keepSum']);
  t.deepEqual(play.send('commit.decide'), ['apply']);
  t.like(play.context['copy'], { version: 0 });
  t.deepEqual(play.send('attempt.abandon', { attempt: 2 }), ['setAside']);
  t.deepEqual(play.send('weights.applied'), ['reportApplied', 'takeUp']);
  t.like(play.context['copy'], { version: 1 });
  t.deepEqual(play.send('attempt.abandon', { attempt: 2 }), ['abandon', 'reportAbandoned']);
  t.deepEqual(play.send('shard.send', { attempt: 2 }), ['sendState']);
  t.deepEqual([...visited].toSorted(), [...leafStates(wardMachine)].toSorted());
});

test('ward: every state refuses what it does not wait for', (t) => {
  const play = new Play(wardMachine, { size: 20 });
  const keeping = [
    'ward.state',
    'ward.sum',
    'commit.decide',
    'shard.send',
    'attempt.abandon',
    'experts.move',
    'experts.state',
  ];
  t.deepEqual(acceptedOf(play, kinds, part(0, 1)).toSorted(), keeping.toSorted());
  play.send('ward.state', part(0, 20));
  play.send('commit.decide');
  t.deepEqual(acceptedOf(play, kinds), ['weights.applied', 'attempt.abandon']);
});
