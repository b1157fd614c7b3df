import test from 'ava';
import { encoderMixtures } from './encoder-table.ts';
import { nameOf } from './mixture.ts';
import { differences } from './mixture-run.ts';

/** Which of three parts runs here; `npm run test:sim` runs all. */
const THIRD = Number(process.env['TROUPE_MIXTURES'] ?? 0);

for (const mixture of encoderMixtures.filter((_, index) => index % 3 === THIRD))
  test(`encoder and decoder: the numbers of one process: ${nameOf(mixture)}`, async (t) => {
    t.deepEqual(await differences(mixture), []);
  });
