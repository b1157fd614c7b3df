import test from 'ava';
import { nameOf, usual, type Mixture } from './mixture.ts';
import { differences, simulatedDifferences } from './mixture-run.ts';
import { inPart } from './part.ts';

/** Every optimizer over every axis that divides its state, or moves it. */
const optimizers = ['sgd', 'adafactor', 'muon'] as const;

const ways: readonly Mixture[] = [
  { ...usual, pp: 2, dp: 2, ep: 2, microbatches: 2 },
  { ...usual, dp: 3, ep: 3, zero: 1, model: 'shared' },
  { ...usual, dp: 6, ep: 2, zero: 2, microbatches: 2, model: 'tied' },
  { ...usual, dp: 6, ep: 3, zero: 3, microbatches: 2, offload: 'optimizer' },
  { ...usual, pp: 2, dp: 2, zero: 3, ep: 2, pipeline: 'zero-bubble', microbatches: 3, recompute: 'layer' },
  { ...usual, dp: 2, ep: 2, zero: 1, experts: 'balanced', precision: 'bf16' },
  { ...usual, dp: 3, ep: 3, zero: 3, microbatches: 2, model: 'biased' },
  { ...usual, pp: 2, dp: 2, ep: 2, zero: 1, microbatches: 2, model: 'choice' },
  { ...usual, pp: 2, ep: 2, apart: 1, offload: 'optimizer', experts: 'by hand', rows: 'chunks' },
];

for (const [shift, optimizer] of optimizers.entries()) {
  for (const way of inPart(ways, 2 * shift, 6))
    test(`optimizers: the numbers of one process: ${nameOf({ ...way, optimizer })}`, async (t) => {
      t.deepEqual(await differences({ ...way, optimizer }), []);
    });

  test(`optimizers: a simulated cluster has the losses of its processes: ${optimizer}`, async (t) => {
    t.deepEqual(await simulatedDifferences({ ...usual, pp: 2, dp: 2, ep: 2, zero: 1, optimizer }), []);
  });
}
