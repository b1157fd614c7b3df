import { tmpdir } from 'node:os';
import type { Command } from 'commander';
import { presetNames } from '@troupe/topology';
import test from 'ava';
import { notBuilt } from './not-built.ts';
import { createProgram } from './program.ts';
import { jsonLines, runCli } from './testing/cli-process.ts';

const cwd = tmpdir();

/** Long flags are what people put into scripts: a name that is here stays. */
const frozenFlags: Readonly<Record<string, readonly string[]>> = {
  init: ['--preset', '--force'],
  validate: ['--set'],
  plan: [
    '--set',
    '--calibration',
    '--resolved',
    '--search',
    '--losses',
    '--most',
    '--diff',
    '--detailed-exitcode',
  ],
  launch: [
    '--set',
    '--stop-after',
    '--quiet',
    '--detach',
    '--grace',
    '--profile',
    '--profile-steps',
    '--log-level',
    '--hostfile',
    '--launcher',
    '--dry-run',
    '--from',
    '--no-checkpoint',
    '--run-dir',
  ],
  resume: [
    '--set',
    '--stop-after',
    '--quiet',
    '--detach',
    '--grace',
    '--profile',
    '--profile-steps',
    '--log-level',
    '--hostfile',
    '--launcher',
    '--dry-run',
    '--checkpoint',
    '--extend-to',
    '--reset-schedule',
    '--data-changed',
  ],
  status: [],
  top: ['--every'],
  logs: ['--follow', '--worker'],
  stop: ['--now'],
  eval: [
    '--checkpoint',
    '--batches',
    '--set',
    '--data-changed',
    '--threads',
    '--expert-counts',
    '--beside',
    '--metrics',
    '--sentences',
  ],
  translate: [
    '--from',
    '--to',
    '--beams',
    '--length-penalty',
    '--max-tokens',
    '--checkpoint',
    '--set',
    '--threads',
  ],
  generate: [
    '--prompt',
    '--prompts',
    '--samples',
    '--max-tokens',
    '--temperature',
    '--top-k',
    '--top-p',
    '--beams',
    '--length-penalty',
    '--seed',
    '--checkpoint',
    '--set',
    '--threads',
  ],
  import: ['--out', '--seq-len'],
  export: ['--out', '--as', '--layout', '--file-mib', '--checkpoint'],
  merge: ['--out', '--rescale', '--force'],
  prune: [
    '--out',
    '--keep',
    '--by',
    '--seed',
    '--keep-optimizer',
    '--batches',
    '--set',
    '--data-changed',
    '--threads',
  ],
  simulate: [
    '--set',
    '--seed',
    '--steps',
    '--faults',
    '--seeds',
    '--jobs',
    '--shapes-only',
    '--load',
    '--record-load',
    '--real',
    '--calibration',
    '--trace',
    '--check',
    '--until',
    '--inspect',
    '--shrink',
    '--write-test',
    '--log',
  ],
  'scaling predict': ['--law', '--experts', '--active', '--tokens', '--granularity'],
  'scaling optimal': [
    '--law',
    '--experts',
    '--flops',
    '--active',
    '--granularity',
    '--router-flops',
    '--memory',
    '--inference-tokens',
    '--write',
    '--batch-tokens',
    '--seq-len',
    '--force',
  ],
  'scaling fit': [
    '--out',
    '--name',
    '--experts',
    '--router',
    '--bootstrap',
    '--seed',
    '--delta',
    '--weight-decay',
    '--log-loss',
  ],
  'scaling plot': ['--law', '--experts', '--kind', '--out', '--flops'],
  'scaling compare': ['--law', '--loss', '--out'],
  compare: ['--loss', '--out'],
  sweep: ['--dry-run', '--measure', '--pace', '--only'],
  tokenize: ['--text', '--file', '--set', '--train', '--vocab', '--out'],
  doctor: ['--hosts', '--workdir', '--scratch', '--port', '--prelude', '--deadline'],
  cache: [],
  bench: ['--calibrate', '--out', '--set', '--steps'],
};
const common = ['--json', '--verbose'];

/** `help` and `version`, as people type them before they know of the flags, and what launchers type. */
const spelled = ['help', 'version', 'agent'];
/** Verbs, and of a verb that is a family (`scaling`) its members. */
const built = (): readonly Command[] =>
  createProgram()
    .commands.filter((each) => !(each.name() in notBuilt || spelled.includes(each.name())))
    .flatMap((each) => (each.commands.length === 0 ? [each] : each.commands));
const nameOf = (verb: Command): string =>
  verb.parent?.parent === null ? verb.name() : `${verb.parent?.name()} ${verb.name()}`;

test('flags: every verb has exactly its frozen long flags and no short ones', (t) => {
  const found = Object.fromEntries(
    built().map((verb) => [nameOf(verb), new Set(verb.options.map(({ long }) => long))]),
  );
  const expected = Object.fromEntries(
    Object.entries(frozenFlags).map(([name, flags]) => [name, new Set([...common, ...flags])]),
  );
  t.deepEqual(found, expected);
  t.deepEqual(
    built().flatMap((verb) => verb.options.filter(({ short }) => short !== undefined)),
    [],
  );
});

/** A resolve hook under which nothing but commander, the errors of @troupe/core and this package can be loaded. */
const onlyCommander = `import { register } from 'node:module';
register('data:text/javascript,' + encodeURIComponent(\`
export async function resolve(specifier, context, next) {
  if (!/^(node:|file:|[.]|[/]|commander|@troupe[/]core)/.test(specifier)) throw new Error('help loads ' + specifier);
  return next(specifier, context);
}\`));`;
const node = ['--import', `data:text/javascript,${encodeURIComponent(onlyCommander)}`];

for (const name of Object.keys(frozenFlags)) {
  test(`${name} --help: shows an example and loads nothing heavy`, async (t) => {
    const { code, stdout, stderr } = await runCli([...name.split(' '), '--help'], { cwd, node });
    t.is(code, 0, stderr);
    t.regex(stdout, new RegExp(`Example:\\n  npx troupe ${name}`));
    t.true(stdout.includes('--json'));
  });
}

test('help: without a verb the list of verbs is shown', async (t) => {
  const { code, stdout } = await runCli([], { cwd, node });
  t.is(code, 0);
  for (const name of Object.keys(frozenFlags)) t.regex(stdout, new RegExp(`^  ${name.split(' ')[0]} `, 'm'));
  t.regex(stdout, /not built yet: dashboard, drain/);
});

test('help: -h, help and version are answered like --help and --version', async (t) => {
  const ask = async (...args: readonly string[]) => runCli(args, { cwd, node });
  const [whole, launch, version] = [
    await ask('--help'),
    await ask('launch', '--help'),
    await ask('--version'),
  ];
  for (const args of [['-h'], ['help']]) t.deepEqual(await ask(...args), whole);
  for (const args of [
    ['launch', '-h'],
    ['help', 'launch'],
  ])
    t.deepEqual(await ask(...args), launch);
  t.regex(version.stdout, /^\d+\.\d+\.\d+\n$/);
  t.deepEqual(await ask('version'), version);
  const unknown = await ask('help', 'lunch');
  t.is(unknown.code, 2);
  t.regex(unknown.stderr, /there is no command 'lunch'/);
});

test('init --help: names every preset', async (t) => {
  const { stdout } = await runCli(['init', '--help'], { cwd });
  for (const preset of presetNames()) t.true(stdout.includes(preset), preset);
});

for (const name of Object.keys(notBuilt)) {
  test(`${name}: says that it is not built and what to use instead`, async (t) => {
    const { code, stdout, stderr } = await runCli([name, 'runs/x', '--some-flag'], { cwd, node });
    t.is(code, 2);
    t.is(stdout, '');
    t.regex(stderr, new RegExp(`^troupe: ${name} is not built yet; .+\\nexit 2 \\(usage\\)`));
  });
}

test('usage: an unknown verb or flag is answered with the nearest one, as JSON too', async (t) => {
  const verb = await runCli(['lunch', 'tiny'], { cwd });
  t.is(verb.code, 2);
  t.regex(verb.stderr, /unknown command 'lunch' \(Did you mean launch\?\)/);
  const flag = await runCli(['launch', 'tiny', '--stopafter', '2', '--json'], { cwd });
  t.is(flag.code, 2);
  t.deepEqual(jsonLines(flag.stdout), [
    {
      event: 'error',
      code: 'TROUPE_USAGE',
      message: "unknown option '--stopafter' (Did you mean --stop-after?)",
    },
  ]);
  const value = await runCli(['launch', 'tiny', '--stop-after', 'soon'], { cwd });
  t.is(value.code, 2);
  t.regex(value.stderr, /--stop-after.*'soon' is invalid.*integer ≥ 1/);
});
