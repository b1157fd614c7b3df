import { readFileSync, writeFileSync } from 'node:fs';
import test from 'ava';
import { granularLawOf, granularLoss, lawSet } from '@troupe/scaling';
import { runCliHere } from './testing/cli-here.ts';
import { jsonLines, runCli } from './testing/cli-process.ts';
import { workplace } from './testing/workplace.ts';

interface Size {
  readonly name: string;
  readonly off: number;
}

/** The one object that `--json` printed. */
const printed = (stdout: string): Readonly<Record<string, unknown>> => jsonLines(stdout)[0] ?? {};

test.serial('scaling optimal: from a budget to a topology that is valid, planned and launched', async (t) => {
  const { folder, path } = workplace(t);
  const at = { cwd: folder };
  const budget = ['scaling', 'optimal', '--flops', '1e13', '--experts', '8', '--batch-tokens', '2048'];
  const found = await runCliHere([...budget, '--write', 'budget.yaml', '--json'], at);
  t.is(found.code, 0, found.stderr);
  t.is(found.stderr, '');
  const json = printed(found.stdout);
  t.regex(String(json['warnings']), /^extrapolation: expansion 8, and 'granular-e16' was fitted at 16/);
  const { sizes } = json['written'] as { readonly sizes: readonly Size[] };
  t.deepEqual(
    sizes.map(({ name }) => name),
    ['paramsActive', 'paramsTotal', 'tokens', 'flops'],
  );
  for (const { name, off } of sizes) t.true(Math.abs(off) < 0.05, `${name} is off by ${off}`);
  const text = readFileSync(path('budget.yaml'), 'utf8');
  t.regex(text, /^# 1\.00e\+13 FLOPs by the law 'granular-e16'.*\n# Warning: extrapolation: expansion 8/);
  t.regex(text, /an expert takes 1 of 8 sequences[^]*router: \{ kind: expert-choice, groupSequences: 8 \}/);

  t.is((await runCliHere(['validate', 'budget.yaml'], at)).code, 0);
  const plan = await runCliHere(['plan', 'budget.yaml', '--json'], at);
  t.is(printed(plan.stdout)['tokensPerStep'], 2048);
  const launch = await runCli(['launch', 'budget.yaml', '--stop-after', '10', '--no-checkpoint'], at);
  t.is(launch.code, 0, launch.stderr);
  t.regex(launch.stdout, /step 10\/\d+ /);

  const twice = await runCliHere([...budget, '--write', 'budget.yaml'], at);
  t.is(twice.code, 2);
  t.regex(twice.stderr, /--write 'budget\.yaml' exists; pass --force/);
});

test.serial(
  'scaling optimal: a model that no machine here holds is planned, divided over others, and refused',
  async (t) => {
    const { folder } = workplace(t);
    const at = { cwd: folder };
    const written = await runCliHere(
      ['scaling', 'optimal', '--flops', '1e18', '--experts', '64', '--write', 'large.yaml'],
      at,
    );
    t.is(written.code, 0, written.stderr);
    t.is(written.stderr, '');
    t.regex(written.stdout, /\* +8 +55\.7M +2\.39B +2\.60B +3\.3309/);
    t.regex(written.stdout, /G 8 is the best from 1\.21e\+16 up to 6\.24e\+18 FLOPs/);
    t.regex(written.stdout, /FLOPs +1\.00e\+18 +9\.88e\+17 +-1\.2 %/);
    t.regex((await runCliHere(['plan', 'large.yaml'], at)).stdout, /^large: 2\.33 G parameters/);
    const launch = await runCli(['launch', 'large.yaml'], at);
    t.is(launch.code, 5);
    t.regex(launch.stderr, /needs about \d+ GiB of memory .* this machine has/);
    const machines = 'machines=[{host: localhost, devices: [cuda:0, cuda:1, cuda:2, cuda:3], speed: h200}]';
    const search = await runCliHere(['plan', 'large.yaml', '--search', '--set', machines, '--json'], at);
    t.is(search.code, 0, search.stderr);
    t.true((printed(search.stdout)['found'] as readonly unknown[]).length > 0);
  },
);

test.serial('scaling predict: table 2 of the paper, with a warning on standard error', async (t) => {
  const { folder } = workplace(t);
  const args = ['scaling', 'predict', '--active', '1B', '--tokens', '28.94B', '--granularity', '16'];
  const { code, stdout, stderr } = await runCliHere(args, { cwd: folder });
  t.is(code, 0);
  t.regex(stdout, /^loss +2\.4930 nats/m);
  t.regex(stdout, /1\.93e\+20 FLOPs/);
  t.regex(stderr, /^troupe: warning: extrapolation: 4\.30e\+10 parameters/);
  const json = printed((await runCliHere([...args, '--law', 'joint', '--json'], { cwd: folder })).stdout);
  t.is(json['code'], 'TROUPE_USAGE');
});

test.serial(
  'scaling optimal: memory and inference under the joint law; flags that do not go together',
  async (t) => {
    const { folder } = workplace(t);
    const optimal = (...args: readonly string[]) =>
      runCliHere(['scaling', 'optimal', ...args], { cwd: folder });
    const joint = await optimal('--law', 'joint', '--flops', '1e20', '--memory', '5B', '--json');
    const best = printed(joint.stdout)['best'] as { readonly paramsTotal: number };
    t.true(best.paramsTotal <= 5e9);
    for (const [args, says] of [
      [[], /name one of --flops \(a budget\) and --active/],
      [['--flops', '1e18', '--memory', '5B'], /need a law of memory and inference: --law joint/],
      [['--law', 'joint', '--active', '1B'], /the law 'joint' is solved for --flops alone/],
      [['--flops', '1e18', '--law', 'nope'], /there is no set of coefficients 'nope', only granular-e64, /],
      [['--flops', '1e18', '--law', './no.json'], /'\.\/no\.json' cannot be read \(ENOENT\)/],
      [['--law', 'joint', '--flops', '1e10', '--inference-tokens', '1B'], /no model of 1 experts fits/],
      [['--flops', '1e5'], /--flops 1\.00e\+5: laws are asked about budgets from 1e\+9 to 1e\+30/],
      [['--flops', 'much'], /expected a number > 0, such as 1e20, 100M/],
    ] as const) {
      const refused = await optimal(...args);
      t.is(refused.code, 2, refused.stdout);
      t.regex(refused.stderr, says);
    }
  },
);

test.serial('scaling fit, plot: a law from runs, used by optimal and drawn', async (t) => {
  const { folder, path } = workplace(t);
  const at = { cwd: folder };
  const law = granularLawOf(lawSet('granular-e16'));
  const lines = [1e6, 4e6, 1.6e7].flatMap((paramsActive) =>
    [1e8, 1e9].flatMap((tokens) =>
      [1, 2, 4, 8].map((granularity) => {
        const params = paramsActive * 11;
        const loss = granularLoss(law, { params, tokens, granularity });
        return JSON.stringify({
          paramsActive,
          paramsTotal: params,
          tokens,
          granularity,
          expansion: 16,
          loss,
          seed: 1,
        });
      }),
    ),
  );
  writeFileSync(path('runs.jsonl'), `${lines.join('\n')}\n\n`);
  const fit = await runCliHere(
    [
      'scaling',
      'fit',
      'runs.jsonl',
      '--out',
      'mine.json',
      '--bootstrap',
      '5',
      '--weight-decay',
      '1e-6',
      '--json',
    ],
    at,
  );
  t.is(fit.code, 0, fit.stderr);
  const json = printed(fit.stdout);
  t.is(json['runs'], 24);
  t.true((json['rmse'] as { readonly granular: number }).granular < 0.003);
  const people = await runCliHere(['scaling', 'fit', 'runs.jsonl', '--bootstrap', '0'], at);
  t.regex(people.stdout, /^dense +not fitted: it takes 4 dense runs/m);
  t.regex(people.stdout, /^hold-out +fitted to 19 runs .* the 5 with the lowest losses/m);
  const optimal = await runCliHere(
    ['scaling', 'optimal', '--law', './mine.json', '--flops', '1e17', '--json'],
    at,
  );
  t.is(optimal.code, 0, optimal.stderr);
  t.like(printed(optimal.stdout), { law: 'fitted', expansion: 16 });
  for (const kind of ['loss', 'iso-flop', 'granularity']) {
    const plot = await runCliHere(
      ['scaling', 'plot', '--law', './mine.json', '--kind', kind, '--out', 'p.svg'],
      at,
    );
    t.is(plot.code, 0, plot.stderr);
    const svg = readFileSync(path('p.svg'), 'utf8');
    t.regex(svg, /^<svg [\s\S]*fitted, expansion 16[\s\S]*<path class="curve"/);
    t.notRegex(svg, /NaN/);
  }
  writeFileSync(path('bad.jsonl'), `${lines[0]}\n{"paramsActive": 1}\n`);
  const bad = await runCliHere(['scaling', 'fit', 'bad.jsonl'], at);
  t.is(bad.code, 2);
  t.regex(bad.stderr, /bad\.jsonl:2: paramsTotal is nothing, expected a number > 0/);
});
