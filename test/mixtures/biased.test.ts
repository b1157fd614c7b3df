import test from 'ava';
import { nameOf, usual, type Mixture } from './mixture.ts';
import { differences, simulatedDifferences } from './mixture-run.ts';
import { inPart } from './part.ts';

const biased = { ...usual, model: 'biased' } as const;
const segments = { segments: 4 } as const;

/** Sigmoid scores of groups of experts behind a dense layer, over every axis; where tensor ranks divide sums, in segments, so that all are exact. */
const mixtures: readonly Mixture[] = [
  { ...biased, dp: 2, ep: 2, rows: 'chunks' },
  { ...biased, dp: 6, ep: 3, zero: 2, microbatches: 2, experts: 'balanced' },
  { ...biased, dp: 6, ep: 3, zero: 3, microbatches: 2, offload: 'optimizer' },
  { ...biased, dp: 3, zero: 0, microbatches: 2, recompute: 'layer' },
  { ...biased, pp: 2, dp: 2, ep: 2, pipeline: 'zero-bubble', microbatches: 3, recompute: 'layer', zero: 1 },
  { ...biased, pp: 2, ep: 2, apart: 1, pipeline: 'interleaved', microbatches: 2, precision: 'bf16' },
  { ...biased, pp: 3, dp: 2, ep: 2, pipeline: 'gpipe', microbatches: 3, zero: 3 },
  { ...biased, ...segments, tp: 2, dp: 2, ep: 2, zero: 2, precision: 'bf16' },
  { ...biased, ...segments, tp: 4, pp: 2, recompute: 'layer', microbatches: 2 },
  { ...biased, ...segments, tp: 2, dp: 2, ep: 2, sliced: false, zero: 3, rows: 'chunks' },
];

for (const mixture of inPart(mixtures))
  test(`routing as DeepSeek's: the numbers of one process: ${nameOf(mixture)}`, async (t) => {
    t.deepEqual(await differences(mixture), []);
  });

test("routing as DeepSeek's: a simulated cluster has the same numbers", async (t) => {
  t.deepEqual(await simulatedDifferences({ ...biased, pp: 2, dp: 2, ep: 2, zero: 1, microbatches: 2 }), []);
});
