import { writeFileSync } from 'node:fs';
import test from 'ava';
import { jsonLines, runCli } from './testing/cli-process.ts';
import { workplace } from './testing/workplace.ts';

const words = ['sun', 'moon', 'star', 'sea', 'tree', 'stone', 'rain'];
const answer = 'so it is, as ever.';

/** A language in which there is one thing to say: what a small model learns in seconds. */
const pairs = Array.from(
  { length: 60 },
  (_, index) => `${words[index % 7]} ${words[(index * 3) % 5]} ${index}\t${answer}`,
);

const topology = `troupe: 1
name: one-answer
model: { vocab: 364, layers: 2, dModel: 32, heads: 2, seqLen: 48, ffn: { dFf: 64 }, moe: { experts: 2, topK: 1 } }
data:
  parallel: [{ kind: tsv, from: en, to: ye, file: pairs.tsv }]
  tasks: [{ kind: translation, pairs: [en-ye] }]
  tokenizer: { kind: bytes }
  holdout: 0.2
train: { steps: 60, batch: 8, optimizer: { lr: 1e-2, warmup: 0.1 } }
machines: [{ host: localhost, devices: [cpu:0] }]
checkpoint: { dir: run }
`;

test.serial(
  'translate, eval --metrics: a model that was trained on translation translates and is scored',
  async (t) => {
    const { folder: cwd, path } = workplace(t);
    const at = { cwd };
    writeFileSync(path('pairs.tsv'), pairs.join('\n'));
    writeFileSync(path('answer.yaml'), topology);
    const launched = await runCli(['launch', 'answer.yaml', '--quiet'], at);
    t.is(launched.code, 0, launched.stderr);

    writeFileSync(path('in.txt'), 'sun  moon 3\r\n\nrain star 99\n');
    const translated = await runCli(['translate', 'run', 'in.txt', '--from', 'en', '--to', 'ye'], at);
    t.is(translated.code, 0, translated.stderr);
    t.is(translated.stdout, `${answer}\n\n${answer}\n`);
    t.notRegex(translated.stderr, /in training/);
    const unseen = await runCli(['translate', 'run', 'in.txt', '--from', 'ye', '--to', 'en'], at);
    t.regex(unseen.stderr, /^note: no text was translated from ye to en in training \(data\.tasks\)/m);
    const searched = await runCli(
      ['translate', 'run', 'in.txt', '--from', 'en', '--to', 'ye', '--beams', '2', '--json'],
      at,
    );
    t.like(jsonLines(searched.stdout)[2], {
      event: 'translation',
      step: 60,
      from: 'en',
      to: 'ye',
      line: 3,
      source: 'rain star 99',
      text: answer,
      ended: true,
    });
    const scored = await runCli(['eval', 'run', '--metrics', 'bleu,chrf', '--sentences', '5', '--json'], at);
    t.is(scored.code, 0, scored.stderr);
    const [direction, ...others] = (jsonLines(scored.stdout)[0]?.['translations'] ?? []) as readonly Readonly<
      Record<string, number>
    >[];
    t.is(others.length, 0, 'the other direction is not trained');
    t.like(direction, { from: 'en', to: 'ye', sentences: 5, leftOut: 0, ended: 1, wordsOfLanguage: 1 });
    t.true(
      Math.abs((direction?.['bleu'] ?? 0) - 100) < 1e-9 && Math.abs((direction?.['chrf'] ?? 0) - 100) < 1e-9,
    );
    t.is(direction?.['wordsOfSource'], 0);
    const people = await runCli(['eval', 'run', '--metrics', 'chrf', '--sentences', '2'], at);
    t.regex(people.stdout, /^ +en-ye +2 +100\.00 +100 % +0 % +100 %$/m);

    const refused = async (sentence: RegExp, ...args: readonly string[]): Promise<void> => {
      const { code, stderr } = await runCli(args, at);
      t.not(code, 0);
      t.regex(stderr, sentence);
    };
    const from = ['--from', 'en', '--to'];
    await refused(
      /this model has not learnt fr; it knows en, ye/,
      'translate',
      'run',
      'in.txt',
      ...from,
      'fr',
    );
    await refused(/cannot read 'none\.txt' \(ENOENT\)/, 'translate', 'run', 'none.txt', ...from, 'ye');
    writeFileSync(path('latin.txt'), Buffer.from('caf\xe9', 'latin1'));
    await refused(/'latin\.txt' is not UTF-8 text/, 'translate', 'run', 'latin.txt', ...from, 'ye');
    writeFileSync(path('long.txt'), `sun\n${'moon '.repeat(20)}\n`);
    await refused(
      /text 2 has 99 tokens, and this model reads at most 46 of a text that it translates/,
      'translate',
      'run',
      'long.txt',
      ...from,
      'ye',
    );
  },
);

test.serial('translate: a model with an encoder reads the text there, and writes the same', async (t) => {
  const { folder: cwd, path } = workplace(t);
  const at = { cwd };
  writeFileSync(path('pairs.tsv'), pairs.join('\n'));
  writeFileSync(path('answer.yaml'), topology);
  const encoder = ['--set', 'model.encoder={ layers: 1, seqLen: 24 }', '--set', 'model.seqLen=24'];
  const launched = await runCli(['launch', 'answer.yaml', '--quiet', ...encoder], at);
  t.is(launched.code, 0, launched.stderr);
  writeFileSync(path('in.txt'), 'sun moon 3\n\nrain star 99\n');
  const workers = [
    '--set',
    'parallel.pp=2',
    '--set',
    'machines=[{ host: localhost, devices: [cpu:0, cpu:1] }]',
  ];
  for (const more of [[], ['--beams', '2'], workers]) {
    const found = await runCli(['translate', 'run', 'in.txt', '--from', 'en', '--to', 'ye', ...more], at);
    t.is(found.code, 0, found.stderr);
    t.is(found.stdout, `${answer}\n\n${answer}\n`);
  }
  writeFileSync(path('long.txt'), 'moon '.repeat(20));
  const long = await runCli(['translate', 'run', 'long.txt', '--from', 'en', '--to', 'ye'], at);
  t.regex(long.stderr, /text 1 has 99 tokens, and this model reads at most 23 of a text/);
  const none = await runCli(['generate', 'run', '--prompt', 'sun'], at);
  t.regex(none.stderr, /this model has an encoder .*use `troupe translate`/);
  const done = await runCli(['resume', 'run'], at);
  t.regex(done.stdout, /next: npx troupe eval run\n/, 'generate would refuse it');
});
