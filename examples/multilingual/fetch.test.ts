import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { main } from './fetch.ts';
import type { FetchHelp } from './help-packages.ts';

const root = mkdtempSync(join(tmpdir(), 'troupe-fetch-'));
test.after.always(() => rmSync(root, { recursive: true, force: true }));

/** Two pages of two paragraphs in each language. */
function helpOf(fetched: string[]): FetchHelp {
  return (language, _folder, help) => {
    fetched.push(language);
    mkdirSync(join(help, language, 'text'), { recursive: true });
    const own = (text: string): string => (language === 'en-US' ? text : `${text} ${language}`);
    for (const page of ['a', 'b'])
      writeFileSync(
        join(help, language, 'text', `${page}.html`),
        `<p id="p1">${own('Click OK')}</p><p id="p2">${own(`This is ${page}`)}</p><p id="p3">LibreOffice</p>`,
      );
  };
}

test('multilingual/fetch: writes aligned JSONL, and fetches again only what is not whole', (t) => {
  const folder = join(root, 'data');
  const fetched: string[] = [];
  const run = (languages: readonly string[]) =>
    main({ folder, languages, print: () => {}, fetchHelp: helpOf(fetched) });
  const first = run(['de', 'fr']);
  t.deepEqual(fetched, ['en-US', 'de', 'fr']);
  t.like(first['de'], { pairs: 4, distinct: 3, englishWords: 2 * 2 + 2 * 3, words: 2 * 3 + 2 * 4 });
  t.is(
    readFileSync(join(folder, 'en-de.jsonl'), 'utf8').split('\n')[1],
    '{"en":"This is a","de":"This is a de","document":"a.html"}',
  );
  t.deepEqual(readdirSync(folder).sort(), ['en-de.jsonl', 'en-fr.jsonl', 'index.json']);

  fetched.length = 0;
  t.deepEqual(run(['de', 'fr']), first);
  t.deepEqual(fetched, []);
  writeFileSync(join(folder, 'en-fr.jsonl'), '{"en":"cut');
  t.deepEqual(run(['de', 'fr', 'it'])['fr'], first['fr']);
  t.deepEqual(fetched, ['en-US', 'fr', 'it']);

  t.throws(() => run(['xx']), { message: /^no help in xx; choose from cs, de, es,/ });
});
