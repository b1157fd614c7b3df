import test from 'ava';
import { nameOf, usual, type Mixture } from './mixture.ts';
import { differences } from './mixture-run.ts';
import { inPart } from './part.ts';

const choice = { ...usual, model: 'choice' } as const;

/** Experts that choose, every group of sequences on one replica. */
const local: readonly Mixture[] = [
  { ...choice, pp: 2, microbatches: 2 },
  { ...choice, dp: 2, ep: 2, rows: 'chunks' },
  { ...choice, dp: 3, ep: 3, zero: 3, microbatches: 2 },
  { ...choice, pp: 2, dp: 2, pipeline: 'zero-bubble', microbatches: 3, recompute: 'layer' },
];

/** Groups of six sequences on replicas with one, two, three, four and a half, or nine of them. */
const shared: readonly Mixture[] = [
  { ...choice, dp: 2, microbatches: 6 },
  { ...choice, dp: 3, ep: 3, microbatches: 6, zero: 3, rows: 'chunks' },
  { ...choice, dp: 2, ep: 2, microbatches: 2, rows: 'chunks', recompute: 'layer' },
  { ...choice, pp: 2, dp: 6, ep: 2, microbatches: 3, zero: 2 },
  { ...choice, pp: 2, dp: 2, ep: 2, microbatches: 6, pipeline: 'interleaved', precision: 'bf16' },
  { ...choice, pp: 3, dp: 3, microbatches: 3, pipeline: 'gpipe', offload: 'optimizer' },
  { ...choice, pp: 2, dp: 6, ep: 6, microbatches: 6, pipeline: 'zero-bubble', recompute: 'layer' },
  { ...choice, dp: 3, ep: 3, microbatches: 6, experts: 'balanced', zero: 1 },
  { ...choice, tp: 2, dp: 6, ep: 3, microbatches: 2, segments: 4, zero: 3 },
  { ...choice, tp: 2, dp: 2, ep: 2, microbatches: 6, segments: 4, sliced: false, rows: 'chunks' },
  { ...choice, dp: 6, ep: 2, apart: 2, microbatches: 3, experts: 'by hand' },
];

for (const mixture of inPart([...local, ...shared]))
  test(`expert choice: the numbers of one process: ${nameOf(mixture)}`, async (t) => {
    t.deepEqual(await differences(mixture), []);
  });
