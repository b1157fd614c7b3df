import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import test from 'ava';
import { runCliHere } from './testing/cli-here.ts';
import { jsonLines, runCli } from './testing/cli-process.ts';
import { workplace } from './testing/workplace.ts';

interface Case {
  readonly title: string;
  readonly args: readonly string[];
  readonly code: number;
  readonly sentence: RegExp;
}

const cases: readonly Case[] = [
  {
    title: 'an unknown key',
    args: ['--set', 'train.stepz=3'],
    code: 3,
    sentence: /--set train.stepz=3 {2}train.stepz: 3 .* nearest: steps/,
  },
  {
    title: 'counts that do not divide',
    args: ['--set', 'model.moe.experts=7', '--set', 'train.grains=3'],
    code: 3,
    sentence: /grains 3 is not divisible by dp 2[\s\S]*experts 7 is not divisible by ep 2/,
  },
  {
    title: 'a data file that cannot be read',
    args: ['--set', 'data.text=none.txt'],
    code: 1,
    sentence: /cannot read data from .*none.txt: no such file; check the path/,
  },
  {
    title: 'a tokenizer larger than the model',
    args: ['--set', 'data.tokenizer={kind: bpe, vocab: 400}'],
    code: 3,
    sentence: /data.tokenizer.vocab: 400 .* at most model.vocab 257/,
  },
  {
    title: 'a tokenizer file larger than the model',
    args: ['--set', 'data.tokenizer={kind: bpe, file: tokenizer.json}'],
    code: 3,
    sentence: /the tokenizer has 300 tokens but model.vocab is 257/,
  },
  {
    title: 'a host that is not this machine',
    args: ['--set', 'machines=[{host: far-away, devices: [cpu:0, cpu:1]}]'],
    code: 3,
    sentence: /far-away is another one; set launcher\.kind: ssh; nearest: localhost {2}\[TROUPE_NOT_BUILT\]/,
  },
  { title: 'a port that is none', args: ['--set', 'wire.port=99999'], code: 3, sentence: /wire.port: 99999/ },
  {
    title: 'too few devices',
    args: ['--set', 'machines=[{host: localhost, devices: [cpu:0]}]'],
    code: 5,
    sentence: /2 devices are needed, the machines have 1/,
  },
  {
    title: 'a run folder inside a file',
    args: ['--run-dir', 'text.txt/run'],
    code: 1,
    sentence: /cannot make the run folder 'text.txt\/run' \((?:ENOTDIR|EEXIST)\)/,
  },
];

for (const { title, args, code, sentence } of cases) {
  test.serial(`launch: ${title} is refused with exit ${code} and leaves no folder`, async (t) => {
    const { folder, path } = workplace(t);
    const at = { cwd: folder };
    if (args.some((each) => each.includes('tokenizer.json'))) {
      writeFileSync(path('more.txt'), 'one two three four five six seven\n'.repeat(40));
      await runCliHere(
        ['tokenize', '--train', 'text.txt', 'more.txt', '--vocab', '300', '--out', 'tokenizer.json'],
        at,
      );
    }
    const people = await runCliHere(['launch', 'small.yaml', ...args], at);
    t.is(people.code, code, people.stderr);
    t.regex(people.stderr, sentence);
    t.regex(people.stderr, new RegExp(`\\nexit ${code} \\([^)]+\\): TROUPE_[A-Z_]+\\n$`));
    t.false(people.stderr.includes('    at '));
    t.false(existsSync(path('run')));
    const json = await runCliHere(['launch', 'small.yaml', ...args, '--json'], at);
    t.is(json.code, code);
    t.is(json.stderr, '');
    const [error, ...rest] = jsonLines(json.stdout);
    t.deepEqual(rest, []);
    t.deepEqual(Object.keys(error ?? {}), ['event', 'code', 'message']);
    t.regex(String(error?.['message']), sentence);
  });
}

test.serial('resume, eval, generate: a folder without a run is refused with exit 2', async (t) => {
  const { folder } = workplace(t);
  for (const command of ['resume', 'eval', 'generate']) {
    const missing = await runCli([command, 'nowhere'], { cwd: folder });
    t.is(missing.code, 2);
    t.regex(missing.stderr, /'nowhere' holds no checkpoint; there is no such folder/);
    const empty = await runCliHere([command, '.'], { cwd: folder });
    t.is(empty.code, 2);
    t.regex(empty.stderr, /name the folder of a run: it holds folders like step-000100/);
  }
});

test.serial('resume: a folder that is no run is left as it was', async (t) => {
  const { folder, path } = workplace(t);
  mkdirSync(path('empty'));
  const refused = await runCli(['resume', 'empty'], { cwd: folder });
  t.is(refused.code, 2, refused.stderr);
  t.deepEqual(readdirSync(path('empty')), []);
});

test.serial('a file where a run belongs is refused with exit 2 by every command', async (t) => {
  const { folder } = workplace(t);
  for (const args of [
    ['resume', 'small.yaml'],
    ['eval', 'small.yaml'],
    ['generate', 'small.yaml/step-000100'],
    ['export', 'small.yaml', '--out', 'out'],
    ['launch', 'small.yaml', '--from', 'small.yaml'],
  ]) {
    const refused = await runCliHere(args, { cwd: folder });
    t.is(refused.code, 2, refused.stderr);
    t.regex(refused.stderr, /'small\.yaml' holds no checkpoint; it is a file; name the folder of a run/);
  }
});
