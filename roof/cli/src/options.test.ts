import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { CommanderError, type Command, type Option } from 'commander';
import { benchNames } from './commands/bench.ts';
import { notBuilt } from './not-built.ts';
import { createProgram } from './program.ts';
import { runCliHere } from './testing/cli-here.ts';
import { workplace } from './testing/workplace.ts';

/** Values that are refused when the command line is read. */
const refused: Readonly<Record<string, readonly string[]>> = {
  '--stop-after': ['0', '-1', '1.5', 'soon', '', 'NaN', '1e400', '99999999999999999999'],
  '--grace': ['-1', '1.5', 'x', ''],
  '--profile-steps': ['0..1', '3..1', 'x', '', '1..', '1..2..3'],
  '--log-level': ['loud', ''],
  '--run-dir': ['', ' '],
  '--batches': ['0', 'x', ''],
  '--threads': ['0', '-2', 'x', ''],
  '--samples': ['0', 'x', ''],
  '--max-tokens': ['0', 'x', ''],
  '--temperature': ['-1', 'hot', '', 'Infinity', 'NaN'],
  '--top-k': ['-1', '1.5', 'x', ''],
  '--top-p': ['2', '0', '-1', '1.0001', 'x', '', 'NaN'],
  '--beams': ['0', '1.5', 'x', ''],
  '--length-penalty': ['-1', 'x', '', 'NaN'],
  '--seed': ['-1', '1.5', 'x', ''],
  '--steps': ['0', '-1', 'x', ''],
  '--seeds': ['x', '3..1', '-1..2', '1..', ''],
  '--most': ['0', 'x', ''],
  '--jobs': ['0', 'x', ''],
  '--real': ['x', '', '-1', '0,x'],
  '--vocab': ['256', '0', 'x', ''],
  '--extend-to': ['0', '-1', '1.5', 'x', ''],
  '--as': ['gpt2', ''],
  '--layout': ['dense', ''],
  '--keep': ['0', '-1', '1.5', 'x', ''],
  '--by': ['loss', ''],
  '--rescale': ['0', '-1', 'x', '', 'NaN', 'Infinity'],
  '--file-mib': ['0', '-1', 'x', ''],
  '--seq-len': ['0', '-1', 'x', ''],
  '--loss': ['best', ''],
  '--metrics': ['rouge', 'bleu,', ''],
  '--to': ['', ' '],
  '--sentences': ['0', '-1', 'x', ''],
  '--only': ['router', '=1', '1=2', 'router='],
  '--hosts': ['', ' '],
  '--workdir': ['', ' '],
  '--scratch': ['', ' '],
  '--port': ['0', '65536', '1.5', 'x', ''],
  '--prelude': ['', ' '],
  '--launcher': ['torque', ''],
  '--image': ['', ' '],
  '--namespace': ['', ' '],
  '--claim': ['', ' '],
  '--machine': ['-1', '1.5', 'x', ''],
  '--of': ['0', '-1', 'x', ''],
  '--lead': ['', ' '],
  '--worker': ['-1', '1.5', 'x', ''],
  '--id': ['', ' '],
  '--every': ['-1', 'x', '', 'NaN'],
  '--deadline': ['0', '-1', 'x', '', 'NaN'],
};

/** Command lines whose value is judged by the command, with the sentence that answers: exit 2. */
const judged: Readonly<Record<string, readonly (readonly [readonly string[], RegExp])[]>> = {
  '--preset': [
    [['init', 'a.yaml', '--preset', 'quickstrat'], /no preset 'quickstrat', .*nearest: quickstart/],
  ],
  '--checkpoint': [
    [['eval', 'none', '--checkpoint', 'x'], /'none' holds no checkpoint/],
    [['generate', 'none', '--checkpoint', 'x'], /'none' holds no checkpoint/],
    [['resume', 'none', '--checkpoint', 'x'], /'none' holds no checkpoint/],
  ],
  '--prompts': [
    [['generate', 'none', '--prompts', 'none.txt'], /--prompts: cannot read 'none.txt' \(ENOENT\)/],
    [
      ['generate', 'none', '--prompts', 'text.txt', '--prompt', 'a'],
      /--prompt and --prompts exclude each other/,
    ],
    [['generate', 'none', '--length-penalty', '1'], /--length-penalty goes with --beams/],
    [
      ['generate', 'none', '--beams', '2', '--top-k', '4'],
      /--top-k and --beams exclude each other: beam search draws nothing/,
    ],
    [
      ['generate', 'none', '--beams', '2', '--samples', '3'],
      /--samples 3 is more than --beams 2: a search keeps as many texts/,
    ],
  ],
  '--beside': [[['eval', 'none', '--beside', 'other'], /'other' holds no checkpoint/]],
  '--from': [
    [['launch', 'small.yaml', '--from', 'none'], /'none' holds no checkpoint; there is no such folder/],
  ],
  '--profile': [
    [['launch', 'small.yaml', '--profile', 'none/p.json'], /--profile 'none\/p.json': there is no folder/],
  ],
  '--faults': [
    [
      ['simulate', 'small.yaml', '--faults', 'swarms'],
      /--faults: 'swarms' is neither swarm, none nor a file/,
    ],
    [['simulate', 'small.yaml', '--faults', ''], /--faults: '' is neither swarm, none nor a file/],
  ],
  '--calibration': [
    [['simulate', 'small.yaml', '--calibration', 'none'], /--calibration: 'none' cannot be read/],
    [['simulate', 'small.yaml', '--calibration', 'text.txt'], /--calibration: 'text.txt' cannot be read/],
  ],
  '--load': [
    [['simulate', 'small.yaml', '--shapes-only', '--load', 'none'], /--load: 'none' cannot be read/],
    [['simulate', 'small.yaml', '--load', 'small.yaml'], /--load needs --shapes-only/],
  ],
  '--record-load': [
    [
      ['simulate', 'small.yaml', '--record-load', 'none/l.json'],
      /--record-load 'none\/l.json': there is no folder/,
    ],
    [
      ['simulate', 'small.yaml', '--shapes-only', '--record-load', 'l.json'],
      /--record-load and --shapes-only exclude each other/,
    ],
  ],
  '--trace': [
    [['simulate', 'small.yaml', '--trace', 'none/t.json'], /--trace 'none\/t.json': there is no folder/],
  ],
  '--log': [[['simulate', 'small.yaml', '--log', 'none/l'], /--log 'none\/l': there is no folder/]],
  '--write-test': [
    [
      ['simulate', 'small.yaml', '--shrink', '--write-test', 'none/t.ts'],
      /--write-test 'none\/t.ts': there is no folder/,
    ],
    [['simulate', 'small.yaml', '--write-test', 't.ts'], /--write-test needs --shrink/],
  ],
  '--until': [
    [['simulate', 'tiny.yaml', '--steps', '1', '--until', '@1'], /--until: found '@1', expected an event/],
    [
      ['simulate', 'tiny.yaml', '--steps', '1', '--until', 'commit.decid'],
      /no actor handled 'commit.decid' in 1 step; nearest: commit.decide/,
    ],
    [
      ['simulate', 'tiny.yaml', '--steps', '1', '--until', 'commit.decide@9'],
      /'commit.decide@9' did not come in 1 step; commit.decide came at step 1/,
    ],
  ],
  '--inspect': [
    [
      ['simulate', 'tiny.yaml', '--inspect', 'optimiser/dense/dp0'],
      /no actor has the address 'optimiser\/dense\/dp0'; nearest: optimizer\/dense\/dp0/,
    ],
  ],
  '--file': [[['tokenize', 'small.yaml', '--file', 'none'], /cannot read 'none' \(ENOENT\)/]],
  '--train': [
    [
      ['tokenize', '--train', 'none', '--vocab', '300', '--out', 't.json'],
      /--train: there is no file 'none'/,
    ],
    [
      ['tokenize', '--train', 'text.txt', '--text', 'a', '--vocab', '300', '--out', 't.json'],
      /--text and --train exclude each other/,
    ],
  ],
  '--out': [
    [
      ['tokenize', '--train', 'text.txt', '--vocab', '300', '--out', 'none/t.json'],
      /--out 'none\/t.json': there is no folder/,
    ],
    [['compare', 'none', '--out', 'none/c.svg'], /--out 'none\/c.svg': there is no folder/],
    [['tokenize', 'small.yaml', '--text', 'a', '--out', 't.json'], /--out goes with --train/],
    [['bench', 'kernels', '--out', 'c.json'], /--out goes with --calibrate/],
  ],
  '--hosts': [
    [['doctor', '--hosts', ','], /--hosts names no host/],
    [['doctor', '--hosts', '-oProxyCommand=x'], /--hosts: '-oProxyCommand=x' is no name that ssh takes/],
    [['doctor', '--port', '7000'], /--port goes with --hosts/],
  ],
  '--launcher': [
    [
      ['launch', 'small.yaml', '--launcher', 'slurm'],
      /the nodes of an allocation, .*no SLURM_JOB_ID.*--dry-run/,
    ],
    [
      ['launch', 'pods.yaml', '--launcher', 'kubernetes'],
      /starts nothing from here; .*--dry-run, and hands it to kubectl with --apply/,
    ],
    [
      ['launch', 'pods.yaml', '--launcher', 'kubernetes', '--dry-run'],
      /needs --image, one with troupe on its PATH/,
    ],
    [
      ['launch', 'pods.yaml', '--launcher', 'kubernetes', '--dry-run', '--image', 'i', '--no-checkpoint'],
      /--no-checkpoint is for runs that start from here, not for pods/,
    ],
    [
      ['launch', 'pods.yaml', '--launcher', 'kubernetes', '--dry-run', '--image', 'i', '--run-dir', '/r'],
      /--run-dir '\/r': pods have their volume at \/troupe/,
    ],
    [
      ['launch', 'pods.yaml', '--launcher', 'kubernetes', '--dry-run', '--apply'],
      /--apply and --dry-run exclude each other/,
    ],
    [
      ['launch', 'small.yaml', '--dry-run', '--image', 'i'],
      /--image goes with --launcher kubernetes; this run has none/,
    ],
  ],
  '--hostfile': [
    [['launch', 'small.yaml', '--hostfile', 'none'], /--hostfile: cannot read 'none' \(ENOENT\)/],
    [
      ['resume', 'none', '--hostfile', 'text.txt'],
      /text.txt:1: found 'The actor .*, expected 'HOST slots=N'/,
    ],
  ],
  '--calibrate': [
    [['bench', 'kernels', '--calibrate', 'small.yaml'], /--calibrate runs no bench; leave kernels out/],
  ],
};

/** Texts of any form: a wrong `--set` or topology is a problem of the topology, with its place and exit 3. */
const free = ['--set', '--diff', '--prompt', '--text'];

const built = (): readonly Command[] => createProgram().commands.filter((each) => !(each.name() in notBuilt));
/** A command with an option that takes a value. */
const valued = (): readonly (readonly [string, Option])[] =>
  built().flatMap((command) =>
    command.options
      .filter((option) => option.required || option.optional)
      .map((option) => [command.name(), option] as const),
  );

test('options: wrong values of every option are tried', (t) => {
  const known = new Set([...Object.keys(refused), ...Object.keys(judged), ...free]);
  const found = new Set(valued().map(([, { long }]) => long ?? ''));
  t.deepEqual([...found].sort(), [...known].sort());
});

for (const [name, { long }] of valued()) {
  const values = refused[long ?? ''];
  if (values === undefined) continue;
  test(`options: ${name} ${long} refuses ${values.map((each) => `'${each}'`).join(' ')}`, async (t) => {
    for (const value of values) {
      const line = [name, 'anything', long ?? '', value];
      const error = await t.throwsAsync(createProgram().parseAsync(line, { from: 'user' }), {
        instanceOf: CommanderError,
      });
      t.is(error?.code, 'commander.invalidArgument', line.join(' '));
      t.regex(
        error?.message ?? '',
        new RegExp(`'${long}.*'${value.replace('.', '\\.')}' is invalid\\. \\S`, 'u'),
      );
    }
  });
}

for (const [long, lines] of Object.entries(judged)) {
  test(`options: a wrong ${long} ends with 2 and a sentence`, async (t) => {
    const { folder: cwd, path } = workplace(t);
    const { writeFileSync } = await import('node:fs');
    writeFileSync(
      path('tiny.yaml'),
      'extends: tiny\ndata: { synthetic: zipf }\nmodel: { vocab: 64, dModel: 16, seqLen: 8, ffn: { dFf: 24 } }\neval: { every: 0 }\n',
    );
    writeFileSync(path('pods.yaml'), 'extends: small.yaml\nmachines: { count: 2, devices: [cpu:0] }\n');
    for (const [line, sentence] of lines) {
      const { code, stderr } = await runCliHere(line, { cwd });
      t.regex(stderr, sentence);
      t.is(code, 2, `${line.join(' ')}: ${stderr}`);
    }
  });
}

const apart: readonly (readonly [readonly string[], RegExp])[] = [
  [['--seeds', '0..1', '--seed', '3'], /--seeds and --seed exclude each other/],
  [['--seeds', '0..1', '--trace', 'x'], /--seeds and --trace exclude each other/],
  [['--seeds', '0..1', '--shrink'], /--seeds and --shrink exclude each other/],
  [['--check', '--until', 'commit.decide'], /--check and --until exclude each other/],
  [['--inspect', 'trainer', '--shrink'], /--inspect and --shrink exclude each other/],
  [['--real', '0', '--shapes-only'], /--real and --shapes-only exclude each other/],
  [['--jobs', '2'], /--jobs needs --seeds/],
];

test('options: flags of simulate that leave each other nothing to do are refused', async (t) => {
  const { folder: cwd } = workplace(t);
  for (const [flags, sentence] of apart) {
    const { code, stderr } = await runCliHere(['simulate', 'tiny', ...flags], { cwd });
    t.is(code, 2, stderr);
    t.regex(stderr, sentence);
  }
});

test('bench: answers with its own names, which are those of the repository', async (t) => {
  const { folder: cwd } = workplace(t);
  for (const names of [[], ['nope'], ['kernels', 'wire']]) {
    const { code, stderr } = await runCliHere(['bench', ...names], { cwd });
    t.is(code, 2);
    t.regex(
      stderr,
      /^troupe: [^\n]*; name one of kernels, moe, .*, or pass --calibrate TOPOLOGY[^\n]*\nexit 2/,
    );
    t.false(stderr.includes('--small'), stderr);
  }
  const main = fileURLToPath(new URL('../../../test/dist/bench/main.js', import.meta.url));
  const { stdout } = spawnSync(process.execPath, [main, '--help'], { encoding: 'utf8' });
  t.deepEqual(/-- (.*) \[--small\]/.exec(stdout)?.[1]?.split(' | '), [...benchNames]);
});
