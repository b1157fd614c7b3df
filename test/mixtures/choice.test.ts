import test from 'ava';
import { nameOf, usual, type Mixture } from './mixture.ts';
import { differences } from './mixture-run.ts';

const choice = { ...usual, model: 'choice' } as const;

/** Experts that choose, every group of sequences on one replica. */
const local: readonly Mixture[] = [
  { ...choice, pp: 2, microbatches: 2 },
  { ...choice, dp: 2, ep: 2, rows: 'chunks' },
  { ...choice, dp: 3, ep: 3, zero: 3, microbatches: 2 },
  { ...choice, pp: 2, dp: 2, pipeline: 'zero-bubble', microbatches: 3, recompute: 'layer' },
];

for (const mixture of local)
  test(`expert choice: the numbers of one process: ${nameOf(mixture)}`, async (t) => {
    t.deepEqual(await differences(mixture), []);
  });
