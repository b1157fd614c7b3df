import test from 'ava';
import { acceptedOf, leafStates, Play } from '../testing/play.ts';
import { courierMachine } from './machine.ts';

const actions = {
  'segment.want': 'want',
  'segment.left': 'leave',
  'gradient.filled': 'send',
  'gradient.taken': 'take',
  'weights.part': 'put',
  'attempt.abandon': 'abandon',
} as const;

test('courier: takes everything at any time, since all waiting is in its buckets and its window', (t) => {
  const visited = new Set<string>();
  const play = new Play(courierMachine, {}, visited);
  for (const [kind, action] of Object.entries(actions)) t.deepEqual(play.send(kind), [action]);
  t.deepEqual(play.send('slice.copied'), []);
  t.deepEqual(acceptedOf(play, ['step.open', 'gradient.add', 'weights.ask', 'weights.publish']), []);
  t.deepEqual([...visited], leafStates(courierMachine));
});
