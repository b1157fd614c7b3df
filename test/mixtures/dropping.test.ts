import test from 'ava';
import { nameOf, usual, type Mixture } from './mixture.ts';
import { differences } from './mixture-run.ts';
import { inPart } from './part.ts';

const dropping = { ...usual, model: 'dropping' } as const;
const domain = { ...usual, model: 'domain' } as const;

/** Draws know no rank, microbatch or attempt; a grain lies on one replica. */
const mixtures: readonly Mixture[] = [
  { ...dropping, pp: 2, microbatches: 3, pipeline: '1f1b' },
  { ...dropping, dp: 3, ep: 3, zero: 3, microbatches: 2, rows: 'chunks' },
  { ...dropping, pp: 2, dp: 2, pipeline: 'zero-bubble', microbatches: 3, recompute: 'layer' },
  { ...dropping, dp: 2, tp: 2, segments: 4, ep: 2, recompute: 'layer' },
  { ...dropping, dp: 2, ep: 2, apart: 1, experts: 'balanced', precision: 'bf16', zero: 2 },
  { ...domain, dp: 3, microbatches: 6 },
  { ...domain, pp: 2, pipeline: 'interleaved', microbatches: 2, recompute: 'layer' },
  { ...domain, dp: 2, ep: 2, tp: 2, segments: 4 },
];

for (const mixture of inPart(mixtures))
  test(`dropping and balance domains: the numbers of one process: ${nameOf(mixture)}`, async (t) => {
    t.deepEqual(await differences(mixture), []);
  });
