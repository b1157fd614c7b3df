import test from 'ava';
import { goldenSets } from './cases.ts';
import type { GoldenRun } from './golden-case.ts';
import { nameOf, readGolden } from './golden-file.ts';
import { isNear } from './numbers.ts';
import { missing, play } from './play.ts';
import { runsAll } from '../mixtures/part.ts';

/** TensorFlow.js adds in an order of its own choosing, which another machine or version may choose otherwise. */
const TENSORFLOW_TOLERANCE = 1e-5;

/** The last run and one between, which have the numbers of the first; all of them in `npm run test:sim`. */
const some = (runs: readonly GoldenRun[]): readonly GoldenRun[] =>
  runsAll ? runs : runs.filter((_, index) => [runs.length >> 1, runs.length - 1].includes(index));

for (const set of goldenSets) {
  const golden = readGolden(set);

  test(`golden ${nameOf(set)}: every case is in the file, and nothing else`, (t) => {
    t.deepEqual(
      [...golden.keys()],
      set.cases.map(({ name }) => name),
    );
  });

  for (const each of set.cases) {
    const runs = some(each.runs);
    test(`golden ${nameOf(set)}, ${each.name}: ${runs.map(({ name }) => name).join(', ')}: the numbers of the file`, async (t) => {
      const reason = await missing(set.body);
      if (reason !== null) {
        t.log(`not run: ${reason}`);
        t.not(set.body, 'reference');
        return;
      }
      const expected = golden.get(each.name) ?? [];
      t.true(expected.length > 0);
      for (const run of runs) {
        const found = await play(set, each, run);
        const compared = expected.slice(0, found.length);
        t.is(found.filter((line) => line.startsWith('step')).length, 3, run.name);
        if (set.body !== 'tfjs') t.deepEqual(found, compared, run.name);
        else
          for (const [index, line] of found.entries())
            t.true(isNear(line, compared[index] ?? '', TENSORFLOW_TOLERANCE), `${run.name}: ${line}`);
      }
    });
  }
}

test('golden: a number that differs in its last digit is another one', (t) => {
  const line = 'step 1 loss 3.5 norm 0.25';
  t.true(isNear('step 1 loss 3.50001 norm 0.25', line, TENSORFLOW_TOLERANCE));
  t.false(isNear('step 1 loss 3.5001 norm 0.25', line, TENSORFLOW_TOLERANCE));
  t.false(isNear('step 1 loss NaN norm 0.25', line, TENSORFLOW_TOLERANCE));
  t.false(isNear('step 2 loss 3.5 norm 0.25', line, TENSORFLOW_TOLERANCE));
});
