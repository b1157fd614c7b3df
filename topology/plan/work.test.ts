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

test('chunkWork: of an encoder and a decoder too, in which only what the decoder sees of itself is half a square', (t) => {
  const { model } = resolveTopology({
    model: {
      layers: 5,
      encoder: { layers: 3, seqLen: 48 },
      dModel: 64,
      heads: 4,
      seqLen: 32,
      moe: { every: 2, experts: 4, topK: 1 },
    },
  });
  const blocks = blocksOf(model).map(({ index }) => index);
  const all = { blocks, hasEmbedding: true, hasHead: true };
  const { forward, backward, weights } = chunkWork(model, all);
  t.is(forward + backward + weights, trainingFlopsPerToken(model) - 2 * (12 * 64) * (32 - 16.5));
  // A token of the source costs what a token of a decoder of its own costs, beside the scores of the half that it does not see.
  const alone = { blocks: [0, 1, 2], hasEmbedding: true, hasHead: false };
  const causal = chunkWork({ ...model, encoder: null, layers: 3, seqLen: 48 }, alone);
  t.is(chunkWork(model, alone).forward / 1.5, causal.forward + 3 * 4 * 64 * (48 - 24.5));
});
