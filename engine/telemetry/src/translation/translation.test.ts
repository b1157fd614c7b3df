import { readFileSync } from 'node:fs';
import test from 'ava';
import { corpusBleu } from './bleu.ts';
import { corpusChrf } from './chrf.ts';
import { bleuTokens, bleuTokensOf } from './tokens.ts';
import { wordShares } from './word-shares.ts';

/** What sacrebleu 2.6.0 says (`test/fixtures/sacrebleu/make.py`). */
interface Case {
  readonly references: readonly string[];
  readonly outputs: readonly string[];
  readonly bleu: number;
  readonly precisions: readonly number[];
  readonly brevityPenalty: number;
  readonly bleuOfCharacters: number;
  readonly chrf: number;
}

const url = new URL('../../../../test/fixtures/sacrebleu/cases.json', import.meta.url);
const cases = JSON.parse(readFileSync(url, 'utf8')) as Readonly<Record<string, Case>>;

/** Sums in another order than Python's differ in the last bits. */
const TOLERANCE = 1e-9;

for (const [name, expected] of Object.entries(cases))
  test(`corpusBleu, corpusChrf: ${name}, as sacrebleu`, (t) => {
    const { outputs, references } = expected;
    const near = (found: number, wanted: number, what: string): void =>
      void t.true(Math.abs(found - wanted) <= TOLERANCE * 100, `${what}: ${found}, sacrebleu ${wanted}`);
    const bleu = corpusBleu(outputs, references);
    near(bleu.score, expected.bleu, 'BLEU');
    near(bleu.brevityPenalty, expected.brevityPenalty, 'brevity penalty');
    for (const [index, precision] of bleu.precisions.entries())
      near(precision, expected.precisions[index] ?? Number.NaN, `precision ${index + 1}`);
    near(corpusBleu(outputs, references, 'char').score, expected.bleuOfCharacters, 'BLEU of characters');
    near(corpusChrf(outputs, references), expected.chrf, 'chrF2');
  });

test('corpusBleu, corpusChrf: 100 for the references themselves, 0 for nothing', (t) => {
  const { references } = cases['de'] ?? { references: [] };
  t.is(references.length, 24);
  const close = (value: number): boolean => Math.abs(value - 100) < 1e-9;
  t.true(close(corpusBleu(references, references).score));
  t.true(close(corpusChrf(references, references)));
  const nothing = references.map(() => '');
  t.is(corpusBleu(nothing, references).score, 0);
  t.is(corpusChrf(nothing, references), 0);
  t.is(corpusBleu([], []).score, 0);
  t.throws(() => corpusBleu(['a'], []), { message: /a reference for each output/ });
  t.throws(() => corpusChrf(['a'], []), { message: /a reference for each output/ });
});

test('bleuTokens: words of mteval-v13a, or characters for languages without spaces', (t) => {
  t.is(bleuTokens('Rose 3.5%, to "x-y" 7-8.', '13a').join(' '), 'Rose 3.5 % , to " x-y " 7 - 8 .');
  t.deepEqual(bleuTokens('未終了 🚢a', 'char'), ['未', '終', '了', '🚢', 'a']);
  t.deepEqual(['zh-CN', 'ja', 'th', 'de', 'en-US', 'ko', 'jam'].map(bleuTokensOf), [
    'char',
    'char',
    'char',
    '13a',
    '13a',
    '13a',
    '13a',
  ]);
});

test('wordShares: words of the language and of the source; marks and numbers count for neither', (t) => {
  const texts = ['Der Hund schläft.', 'Die Katze'];
  t.deepEqual(wordShares(['der Hund, 7 dog!', 'Die'], ['The dog', 'the cat'], { language: 'de', texts }), {
    known: 3 / 4,
    copied: 1 / 4,
    numWords: 4,
  });
  t.deepEqual(wordShares(['猫犬'], ['cat'], { language: 'ja', texts: ['猫が'] }), {
    known: 1 / 2,
    copied: 0,
    numWords: 2,
  });
  t.deepEqual(wordShares(['7 !'], ['7'], { language: 'de', texts }), { known: 0, copied: 0, numWords: 0 });
});
