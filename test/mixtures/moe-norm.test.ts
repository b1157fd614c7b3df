import test from 'ava';
import { nameOf, usual, type Mixture } from './mixture.ts';
import { differences } from './mixture-run.ts';
import { inPart } from './part.ts';

const normed = { ...usual, model: 'normed' } as const;
const segments = { segments: 4 } as const;

/** A norm of what routed experts add, over every axis; where tensor ranks divide sums, in segments, so that all are exact. */
const mixtures: readonly Mixture[] = [
  { ...normed, dp: 2, ep: 2, rows: 'chunks' },
  { ...normed, dp: 6, ep: 3, zero: 3, microbatches: 2, offload: 'optimizer' },
  { ...normed, pp: 2, dp: 2, ep: 2, pipeline: 'zero-bubble', microbatches: 3, recompute: 'layer' },
  { ...normed, pp: 2, ep: 2, apart: 1, pipeline: 'interleaved', microbatches: 2, precision: 'bf16' },
  { ...normed, ...segments, tp: 2, dp: 2, ep: 2, zero: 2, precision: 'bf16' },
  { ...normed, ...segments, tp: 4, pp: 2, recompute: 'layer', microbatches: 2 },
  { ...normed, ...segments, tp: 2, dp: 2, ep: 2, sliced: false, rows: 'chunks' },
];

for (const mixture of inPart(mixtures))
  test(`a norm of what experts add: the numbers of one process: ${nameOf(mixture)}`, async (t) => {
    t.deepEqual(await differences(mixture), []);
  });
