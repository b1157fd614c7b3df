import test from 'ava';
import { encoderMixtures } from './encoder-table.ts';
import { nameOf } from './mixture.ts';
import { differences } from './mixture-run.ts';
import { inThird } from './third.ts';

for (const mixture of inThird(encoderMixtures))
  test(`encoder and decoder: the numbers of one process: ${nameOf(mixture)}`, async (t) => {
    t.deepEqual(await differences(mixture), []);
  });
