import test from 'ava';
import { blocksOf, trainingFlopsPerToken } from '@troupe/spec';
import { resolveTopology } from '../resolve.ts';
import { chunkWork } from './work.ts';

test('chunkWork: all blocks and the head are the training FLOPs of a token, with the half of the scores that a causal kernel computes', (t) => {
  for (const moe of [null, { every: 2, experts: 4, topK: 2, sharedExperts: 1 }]) {
    const { model } = resolveTopology({
      model: { layers: 4, dModel: 64, heads: 4, kvHeads: 2, seqLen: 33, moe },
    });
    const blocks = blocksOf(model).map(({ index }) => index);
    const { forward, backward, weights, again } = chunkWork(model, {
      blocks,
      hasEmbedding: true,
      hasHead: true,
    });
    const scores = 12 * model.layers * 64;
    t.is(forward + backward + weights, trainingFlopsPerToken(model) - scores * 33 + scores * 17);
    t.true(again < forward);
  }
});
