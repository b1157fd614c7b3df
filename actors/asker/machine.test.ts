import test from 'ava';
import { acceptedOf, leafStates, Play } from '../testing/play.ts';
import { askerMachine } from './machine.ts';

test('asker: ASK-1, any number of questions, answers, failures and losses in one state, and nothing else', (t) => {
  const visited = new Set<string>();
  const play = new Play(askerMachine, undefined, visited);
  for (const [type, action] of [
    ['question.put', 'ask'],
    ['question.put', 'ask'],
    ['experts.answered', 'answer'],
    ['ask.failed', 'fail'],
    ['service.lost', 'failAll'],
    ['experts.answered', 'answer'],
  ] as const)
    t.deepEqual(play.send(type), [action]);
  t.deepEqual(acceptedOf(play, ['question.put', 'experts.ask', 'rows.return']), ['question.put']);
  t.deepEqual([...visited], leafStates(askerMachine));
});
