import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import type { Command } from 'commander';
import { presetNames } from '@troupe/topology';
import test from 'ava';
import { notBuilt } from './not-built.ts';
import { createProgram } from './program.ts';
import { runCliHere } from './testing/cli-here.ts';
import { jsonLines, runCli, type CliResult } from './testing/cli-process.ts';

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
    '--image',
    '--namespace',
    '--claim',
    '--jobset',
    '--apply',
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
  drain: ['--dry-run', '--id'],
  migrate: ['--dry-run', '--id'],
  apply: ['--dry-run', '--id', '--set'],
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
  agent: [
    '--machine',
    '--of',
    '--lead',
    '--set',
    '--run-dir',
    '--stop-after',
    '--quiet',
    '--grace',
    '--log-level',
  ],
  key: [],
  bench: ['--calibrate', '--out', '--set', '--steps'],
};
const common = ['--json', '--verbose'];

/** `help` and `version`, as people type them before they know of the flags. */
const spelled = ['help', 'version'];
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

/** What these command lines answer, one after the other in one process that can load nothing heavy. */
function light(lines: readonly (readonly string[])[]): readonly CliResult[] {
  const program = `const { runCliHere } = await import('${new URL('./testing/cli-here.js', import.meta.url).href}');
    const found = [];
    for (const args of ${JSON.stringify(lines)}) found.push(await runCliHere(args, { cwd: '.' }));
    process.stdout.write(JSON.stringify(found));`;
  const { stdout, stderr } = spawnSync(process.execPath, [...node, '--input-type=module', '-e', program], {
    cwd,
    encoding: 'utf8',
  });
  if (stdout === '') throw new Error(stderr);
  return JSON.parse(stdout) as readonly CliResult[];
}

test('help: every verb shows an example and loads nothing heavy', (t) => {
  const names = Object.keys(frozenFlags);
  const answers = light(names.map((name) => [...name.split(' '), '--help']));
  for (const [index, { code, stdout, stderr }] of answers.entries()) {
    t.is(code, 0, stderr);
    t.regex(stdout, new RegExp(`Example:\\n  npx troupe ${names[index]}`));
    t.true(stdout.includes('--json'));
  }
  t.is(answers.length, names.length);
});

test('help: what loads something heavy is found', (t) => {
  const [validated] = light([['validate', 'tiny']]);
  t.regex(validated?.stderr ?? '', /help loads troupe/);
});

test('help: without a verb the list of verbs is shown', async (t) => {
  const { code, stdout } = await runCli([], { cwd, node });
  t.is(code, 0);
  for (const name of Object.keys(frozenFlags)) t.regex(stdout, new RegExp(`^  ${name.split(' ')[0]} `, 'm'));
  t.regex(stdout, /not built yet: dashboard/);
});

test('help: -h, help and version are answered like --help and --version', async (t) => {
  const lines = [
    ['--help'],
    ['-h'],
    ['help'],
    ['launch', '--help'],
    ['launch', '-h'],
    ['help', 'launch'],
    ['--version'],
    ['version'],
    ['help', 'lunch'],
  ];
  const [whole, h, help, launch, launchH, helpLaunch, version, versioned, unknown] = light(lines);
  t.deepEqual([h, help], [whole, whole]);
  t.deepEqual([launchH, helpLaunch], [launch, launch]);
  t.regex(version?.stdout ?? '', /^\d+\.\d+\.\d+\n$/);
  t.deepEqual(versioned, version);
  t.is(unknown?.code, 2);
  t.regex(unknown?.stderr ?? '', /there is no command 'lunch'/);
  t.deepEqual(await runCli(['--version'], { cwd, node }), version);
});

test('init --help: names every preset', async (t) => {
  const { stdout } = await runCliHere(['init', '--help'], { cwd });
  for (const preset of presetNames()) t.true(stdout.includes(preset), preset);
});

test('verbs that are not built say so and what to use instead', (t) => {
  const names = Object.keys(notBuilt);
  const answers = light(names.map((name) => [name, 'runs/x', '--some-flag']));
  for (const [index, { code, stdout, stderr }] of answers.entries()) {
    t.is(code, 2);
    t.is(stdout, '');
    t.regex(stderr, new RegExp(`^troupe: ${names[index]} is not built yet; .+\\nexit 2 \\(usage\\)`));
  }
  t.is(answers.length, names.length);
});

test('usage: an unknown verb or flag is answered with the nearest one, as JSON too', async (t) => {
  const verb = await runCli(['lunch', 'tiny'], { cwd });
  t.is(verb.code, 2);
  t.regex(verb.stderr, /unknown command 'lunch' \(Did you mean launch\?\)/);
  const flag = await runCliHere(['launch', 'tiny', '--stopafter', '2', '--json'], { cwd });
  t.is(flag.code, 2);
  t.deepEqual(jsonLines(flag.stdout), [
    {
      event: 'error',
      code: 'TROUPE_USAGE',
      message: "unknown option '--stopafter' (Did you mean --stop-after?)",
    },
  ]);
  const value = await runCliHere(['launch', 'tiny', '--stop-after', 'soon'], { cwd });
  t.is(value.code, 2);
  t.regex(value.stderr, /--stop-after.*'soon' is invalid.*integer ≥ 1/);
});
