import test from 'ava';
import { dropless, millionths } from './capacity.ts';
import { routingDomain } from './expert-choice.ts';
import { defaultRouter } from './routers.ts';

test('routing domain: a choice group, or a grain where experts drop in evaluation, else each sequence by itself', (t) => {
  const moe = { experts: 8, topK: 2, router: { ...defaultRouter, groupSequences: 16 }, capacity: dropless };
  t.is(routingDomain(null, 4), 1);
  t.is(routingDomain(moe, 4), 1);
  t.is(routingDomain({ ...moe, capacity: { ...dropless, train: 1 } }, 4), 1);
  t.is(routingDomain({ ...moe, capacity: { ...dropless, eval: 2 } }, 4), 4);
  t.is(routingDomain({ ...moe, router: { ...moe.router, kind: 'expert-choice' } }, 4), 16);
});

test('capacity factors: whole millionths, of either sign', (t) => {
  t.deepEqual([1.1, -0.1, 0].map(millionths), [1_100_000, -100_000, 0]);
});
