import { readFileSync } from 'node:fs';
import test from 'ava';
import { preTokenizerOf } from './pre-tokenizer.ts';
import { translateRegex } from './regex-dialect.ts';

interface Fixture {
  readonly texts: readonly string[];
  readonly splits: readonly {
    readonly pattern: string;
    readonly behavior: string;
    readonly invert: boolean;
    readonly pieces: readonly (readonly string[])[];
  }[];
}

const pieces = (pattern: string, text: string, behavior = 'Isolated', invert = false): readonly string[] =>
  preTokenizerOf({ type: 'Split', pattern: { Regex: pattern }, behavior, invert })(text);

test('translateRegex: (?i:…) ignores case inside the group only', (t) => {
  t.deepEqual("IT'S it's x'LL".match(translateRegex("'(?i:s|ll)|x")), ["'S", "'s", 'x', "'LL"]);
  t.is('X'.match(translateRegex('(?i:a)|x')), null);
  t.deepEqual("'D 'ſ 'm".match(translateRegex("'(?i:[sdmt])")), ["'D", "'ſ", "'m"]);
  t.deepEqual('Ss'.match(translateRegex('(?i:\\x73)')), ['S', 's']);
  t.deepEqual('aBz1'.match(translateRegex('(?i:[a-z]+)')), ['aBz']);
});

test('preTokenizer: published patterns and all behaviours cut as Hugging Face tokenizers does', (t) => {
  const url = new URL('../../../test/fixtures/tokenizer_patterns/expected.json', import.meta.url);
  const { texts, splits } = JSON.parse(readFileSync(url, 'utf8')) as Fixture;
  t.deepEqual([texts.length, splits.length], [40, 15]);
  for (const split of splits) {
    const found = texts.map((text) => pieces(split.pattern, text, split.behavior, split.invert));
    t.deepEqual(found, split.pieces, `${split.behavior} ${split.pattern}`);
  }
});

test('translateRegex: possessive repetition never gives back', (t) => {
  t.is('aaa'.match(translateRegex('a++a')), null);
  t.deepEqual('aaa'.match(translateRegex('a+a')), ['aaa']);
  t.is('aaab'.match(translateRegex('(?>a+)ab')), null);
});

test('translateRegex: white space is Unicode\u2019s, not JavaScript\u2019s', (t) => {
  t.true(translateRegex('^\\s$').test('\u0085'));
  t.false(translateRegex('^\\s$').test('\ufeff'));
});

test('translateRegex: scripts, code points and needless escapes are understood', (t) => {
  t.deepEqual('a灯b'.match(translateRegex('\\p{Han}')), ['灯']);
  t.deepEqual('a灯b'.match(translateRegex('\\x{706f}')), ['灯']);
  t.deepEqual("a'b".match(translateRegex("\\'")), ["'"]);
  t.deepEqual('a1_'.match(translateRegex('\\p{^L}')), ['1', '_']);
  t.deepEqual('一-龥x'.match(translateRegex('[\\x{4e00}-龥]')), ['一', '龥']);
  t.deepEqual('a-]\n.'.match(translateRegex('[\\n\\]-]')), ['-', ']', '\n']);
  t.deepEqual('+,-./'.match(translateRegex('[,-\\.]')), [',', '-', '.']);
});

test('translateRegex: refuses by name what would mean something else', (t) => {
  const code = 'TROUPE_DATA_TOKENIZER_FEATURE';
  for (const pattern of [
    '[a&&b]',
    '[[:alpha:]]',
    '(?<n>a)',
    '\\h',
    '\\b',
    'a{2}+',
    '(a',
    'a)',
    '\\p{Nonsense}',
    '(a)\\1',
  ])
    t.throws(() => translateRegex(pattern), { code }, pattern);
});

test('preTokenizer: every split behaviour arranges delimiters as Hugging Face does', (t) => {
  const text = 'the-final--countdown';
  t.deepEqual(pieces('-', text), ['the', '-', 'final', '-', '-', 'countdown']);
  t.deepEqual(pieces('-', text, 'Removed'), ['the', 'final', 'countdown']);
  t.deepEqual(pieces('-', text, 'MergedWithPrevious'), ['the-', 'final-', '-', 'countdown']);
  t.deepEqual(pieces('-', text, 'MergedWithNext'), ['the', '-final', '-', '-countdown']);
  t.deepEqual(pieces('-', text, 'Contiguous'), ['the', '-', 'final', '--', 'countdown']);
  t.deepEqual(pieces('\\p{L}+', text, 'Removed', true), ['the', 'final', 'countdown']);
});

test('preTokenizer: a prefix space is added only where none is', (t) => {
  const cut = preTokenizerOf({ type: 'ByteLevel', add_prefix_space: true, use_regex: true });
  t.deepEqual(cut('a b'), [' a', ' b']);
  t.deepEqual(cut(' a'), [' a']);
});
