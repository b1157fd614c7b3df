import test from 'ava';
import { interleave } from './interleave.ts';

test('interleave: every rival once a round, each round begun by the next one', async (t) => {
  const order: string[] = [];
  const results = await interleave(['a', 'b', 'c'], 2, async (rival, round) => {
    order.push(rival);
    return `${rival}${round}`;
  });
  t.deepEqual(order, ['a', 'b', 'c', 'b', 'c', 'a']);
  t.deepEqual(results, [
    { rival: 'a', results: ['a0', 'a1'] },
    { rival: 'b', results: ['b0', 'b1'] },
    { rival: 'c', results: ['c0', 'c1'] },
  ]);
});
