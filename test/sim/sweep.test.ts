import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { commitSeed } from './commit-seed.ts';
import { corpus } from './corpus.ts';
import { againLine, summaryOf } from './report.ts';
import { sweepCase, sweepSeed, sweepState, type SweepRun } from './sweep-run.ts';

const NUM_SEEDS = 5;

test(`sweep: ${NUM_SEEDS} clusters under faults that the commit draws finish with the curve without faults, or end for a reason`, async (t) => {
  const base = commitSeed();
  const runs: SweepRun[] = [];
  for (let seed = base; seed < base + NUM_SEEDS; seed++) runs.push(await sweepSeed(seed));
  t.log(`seeds from ${base}`);
  for (const line of summaryOf(runs)) t.log(line);
  t.deepEqual(runs.filter(({ verdict }) => verdict === 'wrong').map(againLine), []);
  t.true(runs.some(({ verdict }) => verdict === 'finished'));
});

test(`sweep: ${NUM_SEEDS} losses in states that the commit draws change no number either`, async (t) => {
  const base = commitSeed();
  const runs: SweepRun[] = [];
  for (let index = base; index < base + NUM_SEEDS; index++) runs.push(await sweepState(index));
  for (const line of summaryOf(runs)) t.log(line);
  t.deepEqual(runs.filter(({ verdict }) => verdict === 'wrong').map(againLine), []);
  t.true(runs.some(({ struck }) => struck > 0));
});

for (const each of corpus) {
  test(`corpus: ${each.name}`, async (t) => {
    const run = await sweepCase(each);
    t.not(run.verdict, 'wrong', run.why);
  });
}

test('sweep: the same seed and its faults are the same run, in another process too', async (t) => {
  const here = await sweepSeed(11);
  t.true(here.faults.length > 0);
  t.deepEqual(await sweepSeed(11), here);
  const program = fileURLToPath(new URL('main.js', import.meta.url));
  const other = spawnSync(process.execPath, [program, '--seed', '11'], { encoding: 'utf8' });
  t.is(other.status, 0, other.stderr);
  t.is(other.stdout.trim().split('\n').at(-1), `trace ${here.traceHash}`);
});
