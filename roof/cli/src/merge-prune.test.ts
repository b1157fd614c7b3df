import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import test from 'ava';
import { createProgram } from './program.ts';
import { runCliHere } from './testing/cli-here.ts';
import { jsonLines, runCli, type CliResult } from './testing/cli-process.ts';
import { workplace } from './testing/workplace.ts';

test.serial(
  'merge, prune: two runs become one, a run loses experts and goes on; both are measured',
  async (t) => {
    const { folder, path } = workplace(t);
    const at = { cwd: folder };
    const good = async (...args: readonly string[]): Promise<CliResult> => {
      const result = await runCliHere(args, at);
      t.is(result.code, 0, `${args.join(' ')}: ${result.stderr}`);
      return result;
    };
    const launch = ['launch', 'small.yaml', '--quiet', '--set', 'model.moe.topK=1', '--stop-after', '1'];
    await good(...launch, '--run-dir', 'a');
    await good(...launch, '--run-dir', 'b', '--from', 'a');

    const merged = await good('merge', 'a', 'b', '--out', 'models/both', '--rescale', '2');
    t.regex(merged.stdout, /^wrote models\/both\/step-000000: 8 experts a layer, \S+ parameters, /);
    t.regex(
      merged.stdout,
      /cosine of the weights that were averaged:\n(?: {2}[\w ]+ +[01]\.\d{6} +\S+ parameters\n)+/,
    );
    t.regex(merged.stdout, /next: npx troupe eval models\/both\n/);
    const counted = await good('eval', 'models/both', '--expert-counts', '--batches', '1', '--json');
    const { expertCounts, tokens, numParameters } = jsonLines(counted.stdout)[0] ?? {};
    t.deepEqual(
      (expertCounts as readonly { readonly layer: number; readonly counts: readonly number[] }[]).map(
        ({ layer, counts }) => [layer, counts.length, counts.reduce((sum, each) => sum + each, 0)],
      ),
      [
        [0, 8, tokens],
        [1, 8, tokens],
      ],
    );

    const pruned = await good(
      'prune',
      'b',
      '--keep',
      '2',
      '--out',
      'half',
      '--keep-optimizer',
      '--batches',
      '1',
    );
    t.regex(
      pruned.stdout,
      /^wrote half\/step-000001: 2 experts a layer, \S+ of \S+ parameters \(\d\d\.\d%\)/,
    );
    t.regex(pruned.stdout, / {2}L0 keeps \d, \d\n {2}L1 keeps \d, \d\n/);
    t.regex(pruned.stdout, /next: npx troupe eval half --beside b\n.*npx troupe resume half\n$/);
    const both = await good('eval', 'half', '--beside', 'b', '--batches', '1', '--expert-counts');
    t.regex(both.stdout, /^half:\nstep 1: held-out loss \d/);
    t.regex(
      both.stdout,
      /\nhalf beside b: loss [+-]\d\.\d{4}, \d\d\.\d% of the parameters, \d+\.\d\d times as fast\n$/,
    );
    // Two layers lose two of four experts, of three matrices and a gate row each: a quarter of what the merged model has of them.
    const ofExperts = 2 * (3 * 32 * 64 + 32);
    const [half = 0, whole = 0] = [6, 4].map((gone) => (Number(numParameters) - gone * ofExperts) / 1000);
    t.true(both.stdout.includes(`${half.toPrecision(3)}k parameters`), both.stdout);
    t.true(both.stdout.includes(`${whole.toPrecision(3)}k parameters`), both.stdout);
    t.regex(both.stdout, /L1\/expert0 +\d+ +[\d.]+% +\d+ +[\d.]+%\n/);
    const resumed = await good('resume', 'half', '--stop-after', '2', '--json');
    t.deepEqual(
      jsonLines(resumed.stdout).flatMap(({ event, step }) => (event === 'step' ? [step] : [])),
      [2],
    );
    t.true(readFileSync(path('half/topology.yaml'), 'utf8').includes('experts: 2\n'));

    const ofOneRun = await good('merge', 'half/step-000001', 'half/step-000002', '--out', 'two-steps');
    t.notRegex(ofOneRun.stdout, /no common checkpoint/, 'two checkpoints of one run have the same beginning');

    const [b, x] = [path('b'), path('x')];
    const refused: readonly (readonly [readonly string[], RegExp])[] = [
      [['prune', b, '--keep', '9', '--out', x], /9 experts cannot be kept of 4/],
      [['prune', b, '--keep', '2', '--seed', '1', '--out', x], /--seed goes with --by random/],
      [
        ['merge', b, path('half'), '--out', x],
        /of one shape are merged, and .*model\.moe\.experts is 4 in .*b and 2/,
      ],
      [['merge', b, b, '--out', path('half')], /--out '.*half' exists/],
      [['eval', b, '--expert-counts', '--set', 'parallel.pp=2'], /--expert-counts counts on one device/],
    ];
    for (const [args, message] of refused)
      await t.throwsAsync(createProgram().parseAsync(args, { from: 'user' }), { message });
    t.false(existsSync(x));
  },
);

test.serial('eval --beside: the other run is measured on the held-out text of the first', async (t) => {
  const { folder, path } = workplace(t);
  const at = { cwd: folder };
  const lines = Array.from({ length: 99 }, (_, line) => `Nobody adds what stranger ${line} counts.\n`);
  writeFileSync(path('other.txt'), lines.join('\n'));
  const launch = ['launch', 'small.yaml', '--quiet', '--stop-after', '1', '--run-dir'];
  const runs = [
    ['a'],
    ['b', '--set', 'data.text=other.txt'],
    ['short', '--set', 'model.seqLen=16', '--set', 'data.text=other.txt'],
  ];
  for (const args of runs) t.is((await runCli([...launch, ...args], at)).code, 0);
  const { stdout } = await runCliHere(['eval', 'a', '--beside', 'b', '--json'], at);
  const [a, b] = jsonLines(stdout);
  t.is(b?.['run'], 'b');
  for (const key of ['tokens', 'unigramEntropy', 'bigramCrossEntropy']) t.is(b?.[key], a?.[key], key);
  const other = await runCliHere(['eval', 'a', '--beside', 'short'], at);
  t.is(other.code, 2);
  t.regex(
    other.stderr,
    /--beside measures short on the held-out text of a, and it has another model\.seqLen; evaluate each alone/,
  );
  const launched = await runCli([...launch, 'all', '--set', 'data.holdout=0'], at);
  t.is(launched.code, 0, launched.stderr);
  const measuring = [['eval'], ['eval', '--set', 'parallel.dp=2'], ['prune', '--keep', '2', '--out', 'x']];
  for (const args of measuring) {
    const none = createProgram().parseAsync([...args, path('all')], { from: 'user' });
    await t.throwsAsync(none, { message: /nothing is held out of the data of .*all \(data\.holdout 0; / });
  }
  const workers = await runCliHere(['eval', 'a', '--beside', 'b', '--set', 'parallel.dp=2'], at);
  t.is(workers.code, 2);
  t.regex(workers.stderr, /workers read that of its own data; evaluate each alone/);
});
