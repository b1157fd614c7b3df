import { appendFileSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import test from 'ava';
import { CliProcess, jsonLines, runCli, type CliResult } from './testing/cli-process.ts';
import { workplace, type Workplace } from './testing/workplace.ts';

/** `small.yaml` with 60 lines of `d.jsonl` instead of its text: their bytes, or a vocabulary that is learnt from them. */
function dataPlace(place: Workplace, tokenizer: string, vocab: number): void {
  const lines = Array.from({ length: 60 }, (_, i) =>
    JSON.stringify({
      text: `Keeper ${i % 9} counted ${i * 7} ships that passed the ${i % 2 ? 'harbour' : 'pier'}.`,
    }),
  );
  writeFileSync(place.path('d.jsonl'), `${lines.join('\n')}\n`);
  const small = readFileSync(place.path('small.yaml'), 'utf8');
  writeFileSync(
    place.path('d.yaml'),
    small
      .replace('vocab: 257', `vocab: ${vocab}`)
      .replace(/data: .*/u, `data: { jsonl: d.jsonl, tokenizer: ${tokenizer}, holdout: 0.2 }`),
  );
}

const stepLosses = ({ stdout }: CliResult): readonly unknown[] =>
  jsonLines(stdout)
    .filter(({ event }) => event === 'step')
    .map(({ step, loss }) => ({ step, loss }));
const evalLoss = ({ stdout }: CliResult): unknown => jsonLines(stdout)[0]?.['loss'];

for (const [name, tokenizer, vocab] of [
  ['bytes', '{ kind: bytes }', 257],
  ['bpe', '{ kind: bpe, vocab: 300 }', 300],
] as const) {
  test.serial(
    `resume, ${name}: another corpus is refused with both hashes, unless it is meant`,
    async (t) => {
      const place = workplace(t);
      dataPlace(place, tokenizer, vocab);
      const at = { cwd: place.folder };
      const launched = await runCli(['launch', 'd.yaml', '--stop-after', '4', '--quiet'], at);
      t.is(launched.code, 0, launched.stderr);
      const before = evalLoss(await runCli(['eval', 'run', '--json'], at));
      const written = readFileSync(place.path('d.jsonl'), 'utf8');
      const manifest = JSON.parse(readFileSync(place.path('run/step-000004/manifest.json'), 'utf8')) as {
        readonly corpusSha256: string;
      };
      t.regex(manifest.corpusSha256, /^[0-9a-f]{64}$/u);

      appendFileSync(place.path('d.jsonl'), `${JSON.stringify({ text: 'One more ship.' })}\n`);
      for (const verb of ['resume', 'eval']) {
        const refused = await runCli([verb, 'run'], at);
        t.is(refused.code, 3, refused.stderr);
        const pattern = `not that of checkpoint step-000004: the documents read now hash to ([0-9a-f]{64}), those of checkpoint step-000004 to ${manifest.corpusSha256}; to go on with what is read now, pass --data-changed; to go on with the corpus of checkpoint step-000004, .*--set data.jsonl=PATH`;
        const hash = new RegExp(pattern, 'u').exec(refused.stderr)?.[1];
        t.truthy(hash, refused.stderr);
        t.not(hash, manifest.corpusSha256);
      }
      const meant = await runCli(['resume', 'run', '--json', '--data-changed', '--stop-after', '5'], at);
      t.is(meant.code, 0, meant.stderr);
      t.regex(
        meant.stdout,
        /"event":"warning","message":"the corpus is another one .* as --data-changed says/,
      );
      t.is(
        (await runCli(['resume', 'run', '--stop-after', '6', '--quiet'], at)).code,
        0,
        'the new one is known now',
      );
      // The vocabulary of the run stays, whatever would be learnt from the new text.
      t.is(
        readFileSync(place.path('run/step-000005/tokenizer.json'), 'utf8'),
        readFileSync(place.path('run/step-000004/tokenizer.json'), 'utf8'),
      );

      // The same documents under another name and date are the same corpus.
      writeFileSync(place.path('back.jsonl'), written);
      const again = await runCli(
        ['eval', 'run', '--json', '--checkpoint', 'step-000004', '--set', 'data.jsonl=back.jsonl'],
        at,
      );
      t.is(evalLoss(again), before, again.stderr);
    },
  );
}

test.serial('resume: a corpus that was moved is named anew and the curve stays, bit for bit', async (t) => {
  const place = workplace(t);
  dataPlace(place, '{ kind: bpe, vocab: 300 }', 300);
  const at = { cwd: place.folder };
  const whole = await runCli(['launch', 'd.yaml', '--json', '--run-dir', 'whole'], at);
  await runCli(['launch', 'd.yaml', '--stop-after', '4', '--quiet'], at);
  renameSync(place.path('d.jsonl'), place.path('moved.jsonl'));
  const lost = await runCli(['resume', 'run'], at);
  t.is(lost.code, 1);
  t.regex(lost.stderr, /d\.jsonl: .*if it was moved, name it with --set data\.jsonl=PATH/);
  const found = await runCli(
    ['resume', 'run', '--json', '--set', 'data.jsonl=moved.jsonl', '--stop-after', '6'],
    at,
  );
  t.is(found.code, 0, found.stderr);
  t.false(found.stdout.includes('"warning"'));
  t.deepEqual(stepLosses(found), stepLosses(whole).slice(4, 6));
  // From any folder, without naming it again.
  mkdirSync(place.path('elsewhere'));
  const rest = await runCli(['resume', place.path('run'), '--json'], { cwd: place.path('elsewhere') });
  t.is(rest.code, 0, rest.stderr);
  t.deepEqual(stepLosses(rest), stepLosses(whole).slice(6));
});

test.serial('launch: a worker that comes back reads the corpus of the start, or the run ends', async (t) => {
  const place = workplace(t);
  const cli = new CliProcess(['launch', 'endless.yaml', '--json', '--set', 'checkpoint.every=1'], {
    cwd: place.folder,
  });
  await cli.line(/"event":"checkpoint"/);
  appendFileSync(place.path('text.txt'), '\nA paragraph that came later.\n');
  process.kill(cli.children()[1] ?? NaN, 'SIGKILL');
  const { code, stdout, stderr } = await cli.result;
  t.is(code, 3, stderr);
  t.regex(
    stdout,
    /"TROUPE_DATA_CHANGED","message":"worker\/1: the corpus is not that of the start of this run/,
  );
});
