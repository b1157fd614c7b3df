import test from 'ava';
import { commitSeed } from './commit-seed.ts';
import { lossSummary, sweepLosses, type LostRun } from './lost-machines.ts';

const NUM_LOSSES = 20;

test(`lost machines: ${NUM_LOSSES} runs that the commit draws have the curve without losses, or end for a reason of the list`, async (t) => {
  const base = commitSeed();
  const runs: LostRun[] = [];
  for (let seed = base; seed < base + NUM_LOSSES; seed++) runs.push(await sweepLosses(seed));
  t.log(`seeds from ${base}`);
  t.log(lossSummary(runs));
  t.deepEqual(
    runs.filter(({ isWrong }) => isWrong),
    [],
  );
  t.true(runs.some(({ outcome }) => outcome === 'finished'));
});
