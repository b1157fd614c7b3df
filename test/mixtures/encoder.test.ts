import test from 'ava';
import { encoderMixtures } from './encoder-table.ts';
import { nameOf } from './mixture.ts';
import { differences } from './mixture-run.ts';
import { inPart } from './part.ts';

for (const mixture of inPart(encoderMixtures))
  test(`encoder and decoder: the numbers of one process: ${nameOf(mixture)}`, async (t) => {
    t.deepEqual(await differences(mixture), []);
  });
