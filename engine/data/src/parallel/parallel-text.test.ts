import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { languageTexts } from './language-texts.ts';
import { languagePair, readParallel, type ParallelText } from './parallel-text.ts';
import type { TextPair } from './text-pair.ts';

const folder = mkdtempSync(join(tmpdir(), 'troupe-parallel-text-'));
test.after.always(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, content: string): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

const pair = (to: string, source: string, target: string, document: string): TextPair => ({
  from: 'en',
  to,
  source,
  target,
  document,
});

/** 300 documents of four sentences in two languages; one sentence stands in all of them, a second in pairs of them. */
function* helpLike(): Generator<TextPair> {
  for (const to of ['de', 'fr'])
    for (let page = 0; page < 300; page++) {
      const document = `page ${page}`;
      yield pair(to, 'Click OK.', `${to} OK.`, document);
      yield pair(to, `Shared ${page >> 1}.`, `${to} shared ${page >> 1}.`, document);
      if (to === 'de' || page % 3 > 0) yield pair(to, `Own ${page}.`, `${to} own ${page}.`, document);
      yield pair(to, `Twice ${page % 100}.`, `${to} ${page}.`, document);
      yield pair(to, 'LibreOffice', 'LibreOffice', document);
    }
}

const read = (seed: number, holdout = 0.2): Promise<ParallelText> =>
  readParallel({ sources: [{ kind: 'pairs', pairs: helpLike() }], holdout, seed });

const englishOf = (pairs: readonly TextPair[]): string[] => pairs.map(({ source }) => source);

test('readParallel: one pair for each English text, and no English text on both sides of any two languages', async (t) => {
  const text = await read(1);
  t.deepEqual([...text.pairs.keys()], ['en-de', 'en-fr']);
  t.deepEqual(text.languages, ['de', 'en', 'fr']);
  t.is(text.identity, null);
  const german = languagePair(text, 'en', 'de');
  t.is(german.train.length + german.heldOut.length, 1 + 150 + 300 + 100);
  t.is(german.numDuplicates, 299 + 150 + 200);
  t.is(german.numUntranslated, 300);
  const all = [...text.pairs.values()];
  const trained = new Set(all.flatMap(({ train }) => englishOf(train)));
  const heldOut = all.flatMap((each) => englishOf(each.heldOut));
  t.true(heldOut.length > 100, `${heldOut.length}`);
  t.deepEqual(
    heldOut.filter((source) => trained.has(source)),
    [],
  );
});

test('readParallel: documents are held out whole, by name and seed, in the same way in every language', async (t) => {
  const outOf = (text: ParallelText, to: string): Set<string> =>
    new Set(
      languagePair(text, 'en', to)
        .heldOut.map(({ source }) => source)
        .filter((source) => source.startsWith('Own')),
    );
  const text = await read(1);
  const [de, fr] = [outOf(text, 'de'), outOf(text, 'fr')];
  t.true(de.size > 30 && de.size < 90, `${de.size} of 300 at a share of 0.2`);
  t.deepEqual(
    [...fr],
    [...de].filter((source) => Number(source.slice(4, -1)) % 3 > 0),
  );
  t.deepEqual(outOf(await read(1), 'de'), de);
  t.notDeepEqual(outOf(await read(2), 'de'), de);
  t.is(outOf(await read(1, 0), 'de').size, 0);
  const larger = outOf(await read(1, 0.4), 'de');
  t.deepEqual(
    [...de].filter((source) => !larger.has(source)),
    [],
    'a larger share keeps what a smaller one held out',
  );
});

test('languagePair: the other direction is turned round; a pair that is not there lists those that are', async (t) => {
  const text = await read(1);
  const straight = languagePair(text, 'en', 'fr');
  const turned = languagePair(text, 'fr', 'en');
  t.deepEqual(turned.heldOut[0], {
    from: 'fr',
    to: 'en',
    source: straight.heldOut[0]?.target ?? '',
    target: straight.heldOut[0]?.source ?? '',
    document: straight.heldOut[0]?.document ?? '',
  });
  t.is(turned.train.length, straight.train.length);
  t.throws(() => languagePair(text, 'de', 'fr'), {
    code: 'TROUPE_DATA_CONFIG',
    message: 'data: no parallel text for de-fr; there is en-de, en-fr; add a source or choose another pair',
  });
});

test('readParallel: when English is the target, it is the English side that is kept once', async (t) => {
  const pairs = [
    { from: 'de', to: 'en', source: 'Abbrechen', target: 'Cancel', document: 'a' },
    { from: 'de', to: 'en', source: 'Abbruch', target: 'Cancel', document: 'b' },
    { from: 'de', to: 'en', source: 'Abbruch', target: 'Abort', document: 'b' },
  ];
  const text = await readParallel({ sources: [{ kind: 'pairs', pairs }], holdout: 0 });
  t.deepEqual(languagePair(text, 'de', 'en').train, [pairs[0], pairs[2]]);
});

test('languageTexts: every text of a language once; what is held out in one pair is trained in none', async (t) => {
  const text = await read(3);
  const english = languageTexts(text, 'en');
  t.is(new Set([...english.train, ...english.heldOut]).size, 551);
  t.is(english.train.length + english.heldOut.length, 551);
  const pairs = [
    pair('de', 'Stop', 'Halt', 'a'),
    pair('de', 'Halt', 'Halt!', 'a'),
    pair('de', 'Hold', 'Halt', 'c'),
  ];
  for (let seed = 0; seed < 20; seed++) {
    const split = await readParallel({ sources: [{ kind: 'pairs', pairs }], holdout: 0.5, seed });
    const { train, heldOut } = languageTexts(split, 'de');
    t.is(train.length + heldOut.length, 2, 'Halt is on one side alone');
  }
  t.throws(() => languageTexts(text, 'it'), { message: /no text in it; there is de, en, fr;/ });
});

test('readParallel: pairs are chosen by name; sources add up; identity follows the files', async (t) => {
  const tsv = file('a.tsv', 'one\teins\ntwo\tzwei\n');
  const jsonl = file('a.jsonl', '{"en":"two","de":"zwo"}\n{"en":"three","de":"drei"}\n');
  const sources = [
    { kind: 'tsv', from: 'en', to: 'de', file: tsv },
    { kind: 'jsonl', from: 'en', to: 'de', file: jsonl },
  ] as const;
  const text = await readParallel({ sources, pairs: ['en-de'], holdout: 0 });
  t.deepEqual(
    languagePair(text, 'en', 'de').train.map(({ target }) => target),
    ['eins', 'zwei', 'drei'],
  );
  t.regex(text.identity ?? '', /a\.tsv \d+ \d+[\s\S]*a\.jsonl \d+ \d+/);
  writeFileSync(tsv, 'one\teins\ntwo\tzwei\n\n');
  t.not((await readParallel({ sources, pairs: ['en-de'], holdout: 0 })).identity, text.identity);
});

test('readParallel: an unseen language, an empty file and one without pairs are one sentence each', async (t) => {
  const of = (path: string, pairs?: readonly string[]): Promise<ParallelText> =>
    readParallel({ sources: [{ kind: 'tsv', from: 'en', to: 'de', file: path }], ...(pairs && { pairs }) });
  await t.throwsAsync(of(file('ok.tsv', 'one\teins'), ['en-it']), {
    message: 'data: no parallel text for en-it; there is en-de; add a source or choose another pair',
  });
  await t.throwsAsync(of(file('empty.tsv', '')), {
    message: /empty\.tsv: it is empty; name a file that holds text/,
  });
  await t.throwsAsync(of(file('blank.tsv', '\n\t\n')), {
    message: /blank\.tsv: it holds no pairs; a pair is/,
  });
  await t.throwsAsync(of(join(folder, 'missing.tsv')), { message: /missing\.tsv: no such file/ });
  const lines = {
    kind: 'lines',
    from: 'en',
    to: 'de',
    source: file('l.en', 'one'),
    target: file('l.de', ''),
  } as const;
  await t.throwsAsync(readParallel({ sources: [lines] }), { message: /l\.de: it is empty/ });
  await t.throwsAsync(readParallel({ sources: [{ kind: 'pairs', pairs: [] }] }), {
    message: /source pairs holds no pairs/,
  });
  await t.throwsAsync(readParallel({ sources: [lines], holdout: 1 }), { message: /holdout is 1;/ });
});
