import { readFileSync, writeFileSync } from 'node:fs';
import test from 'ava';
import { loadTopology } from '@troupe/topology';
import { startCluster } from 'troupe';
import { CliProcess, jsonLines, runCli, waitForDeath } from './testing/cli-process.ts';
import { workplace } from './testing/workplace.ts';

const run = (parallel: string, machines: string, placement = '{}'): string => `
model: { vocab: 64, layers: 2, dModel: 16, heads: 2, seqLen: 8, moe: { experts: 4 } }
data: { synthetic: zipf }
train: { steps: 100000, batch: 8, grains: 8 }
eval: { every: 0, batches: 1 }
checkpoint: { every: 0, keep: 1, dir: run }
parallel: ${parallel}
machines: ${machines}
placement: ${placement}
launcher: { kind: local }
`;

/** Experts on workers of their own. */
const apart = run(
  '{ dp: 2, ep: 2 }',
  '{ count: 2, devices: ["cpu:0", "cpu:1"] }',
  '{ "stage/*/dp0/*": m0/cpu:0, "stage/*/dp1/*": m1/cpu:0, "expert/*/ep0/*": m0/cpu:1, "expert/*/ep1/*": m1/cpu:1 }',
);
const plain = run('{ dp: 2, ep: 2 }', '{ count: 2, devices: ["cpu:0"] }');

test.serial('migrate, apply, drain: a running run over machines goes on with the same numbers', async (t) => {
  const { folder, path } = workplace(t);
  writeFileSync(path('apart.yaml'), apart);
  writeFileSync(path('plain.yaml'), plain);
  const cli = new CliProcess(['launch', 'apart.yaml'], { cwd: folder });
  await cli.line(/^step 1\//);
  const asked = async (...args: readonly string[]) => {
    const done = await runCli([...args, '--json'], { cwd: folder });
    return { ...done, event: jsonLines(done.stdout)[0] ?? {} };
  };

  const diff = await asked('migrate', 'run', 'expert/*/ep1/*', 'm0/cpu:1', '--dry-run');
  t.is(diff.code, 0, diff.stderr);
  t.like(diff.event, { event: 'diff', diff: { same: false } });
  t.true(Number(diff.event['movedBytes']) > 0);
  const migrated = await asked('migrate', 'run', 'expert/*/ep1/*', 'm0/cpu:1', '--id', 'swap');
  t.is(migrated.code, 0, migrated.stderr);
  t.like(migrated.event, { kind: 'migrate', state: 'done', id: 'swap' });
  t.true(Number(migrated.event['pauseMs']) > 0);

  const applied = await asked('apply', 'run', 'plain.yaml');
  t.like(applied.event, { kind: 'apply', state: 'done' }, applied.stdout);

  const drained = await asked('drain', 'run', 'm1');
  t.like(drained.event, { kind: 'drain', state: 'done' }, drained.stdout);
  t.regex(String(drained.event['to']), /on m0$/u);

  const { stdout } = await runCli(['status', 'run'], { cwd: folder });
  t.regex(stdout, /^layout +pp \d × dp \d × tp 1, .* on m0$/mu);
  t.regex(stdout, /^relayouts +drain m1: step \d+ opened after [\d.]+ s in the new layout/mu);
  const children = cli.children();
  await runCli(['stop', 'run'], { cwd: folder });
  const ended = await cli.result;
  t.is(ended.code, 130, ended.stderr);
  t.deepEqual(waitForDeath(children, 5000), []);
  t.regex(ended.stdout, /^migrate .*: step \d+ opened after [\d.]+ s in the new layout/mu);

  const lines = jsonLines(readFileSync(path('run/metrics.jsonl'), 'utf8'));
  const losses = lines.flatMap(({ event, step, loss }) => (event === 'step' ? [[step, loss]] : []));
  t.is(lines.filter(({ event }) => event === 'start').length, 1);
  const undisturbed: unknown[] = [];
  const cluster = await startCluster(loadTopology(path('plain.yaml')), {
    stopAfter: losses.length,
    sink: (event) => {
      if (event.event === 'step') undisturbed.push([event.step, event.loss]);
    },
  });
  t.is((await cluster.result).error, null);
  t.deepEqual(losses, undisturbed);
});
