/**
 * Fetches parallel text of twelve languages with English, LibreOffice's help, and writes it aligned as JSONL:
 *
 *     node examples/dist/multilingual/fetch.js [FOLDER] [--languages de,fr] [--json]
 *
 * FOLDER is data of the machine: `$XDG_DATA_HOME/troupe/multilingual`, that is `~/.local/share/troupe/multilingual`, unless it is named.
 * What is there already and whole is left as it is, so an interrupted run goes on.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { helpPairs, type TextPair } from '@troupe/data';
import { fetchFromDebian, packages, VERSION, type FetchHelp } from './help-packages.ts';

/** What was written of one language. */
export interface Fetched {
  readonly file: string;
  /** Aligned paragraphs whose two sides differ. */
  readonly pairs: number;
  /** Of them with an English side of their own. */
  readonly distinct: number;
  readonly englishWords: number;
  /** Separated by white space: none to speak of in Chinese and Japanese. */
  readonly words: number;
  readonly characters: number;
  readonly sha256: string;
}

export interface FetchOptions {
  readonly folder: string;
  readonly languages?: readonly string[];
  readonly print?: (line: string) => void;
  /** Default: from Debian, with apt-get. */
  readonly fetchHelp?: FetchHelp;
}

const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex');
const wordsIn = (text: string): number => text.split(' ').length;

/** Whole or absent: written aside, then renamed. */
function write(path: string, text: string): void {
  const aside = `${path}.${process.pid}.tmp`;
  writeFileSync(aside, text);
  renameSync(aside, path);
}

/** What earlier runs wrote and what still is as they wrote it. */
function earlier(folder: string): Record<string, Fetched> {
  const path = join(folder, 'index.json');
  if (!existsSync(path)) return {};
  const index = JSON.parse(readFileSync(path, 'utf8')) as {
    version: string;
    languages: Record<string, Fetched>;
  };
  const kept = Object.entries(index.languages).filter(([, { file, sha256 }]) => {
    const text = join(folder, file);
    return existsSync(text) && hashOf(readFileSync(text, 'utf8')) === sha256;
  });
  return index.version === VERSION ? Object.fromEntries(kept) : {};
}

function describe(language: string, pairs: readonly TextPair[], text: string): Fetched {
  const sum = (of: (pair: TextPair) => number): number => pairs.reduce((total, pair) => total + of(pair), 0);
  return {
    file: `en-${language}.jsonl`,
    pairs: pairs.length,
    distinct: new Set(pairs.map(({ source }) => source)).size,
    englishWords: sum(({ source }) => wordsIn(source)),
    words: sum(({ target }) => wordsIn(target)),
    characters: sum(({ target }) => target.length),
    sha256: hashOf(text),
  };
}

/** @returns what the folder holds of each language that was asked for */
export function main(options: FetchOptions): Readonly<Record<string, Fetched>> {
  const { folder, print = console.log, fetchHelp = fetchFromDebian } = options;
  const [english = '', ...known] = Object.keys(packages);
  const languages = options.languages ?? known;
  const unknown = languages.find((language) => !known.includes(language));
  if (unknown !== undefined) throw new Error(`no help in ${unknown}; choose from ${known.join(', ')}`);
  mkdirSync(folder, { recursive: true });
  const done = earlier(folder);
  const missing = languages.filter((language) => done[language] === undefined);
  const help = missing.length > 0 ? mkdtempSync(join(folder, '.help-')) : folder;
  try {
    if (missing.length > 0) fetchHelp(english, folder, help);
    for (const language of missing) {
      fetchHelp(language, folder, help);
      const pairs = [...helpPairs({ folder: help, languages: [language] })];
      const text = pairs
        .map(
          ({ source, target, document }) =>
            `${JSON.stringify({ en: source, [language]: target, document })}\n`,
        )
        .join('');
      const fetched = describe(language, pairs, text);
      write(join(folder, fetched.file), text);
      done[language] = fetched;
      write(
        join(folder, 'index.json'),
        `${JSON.stringify({ version: VERSION, languages: done }, null, 2)}\n`,
      );
      rmSync(join(help, language), { recursive: true });
      print(line(language, fetched));
    }
  } finally {
    if (help !== folder) rmSync(help, { recursive: true });
  }
  return Object.fromEntries(
    languages.flatMap((language) => (done[language] ? [[language, done[language]]] : [])),
  );
}

const line = (language: string, { pairs, distinct, englishWords, words }: Fetched): string =>
  `${language.padEnd(5)}  ${pairs} pairs, ${distinct} with an English side of their own, ${englishWords} English words, ${words} of the language`;

const defaultFolder = (): string =>
  join(process.env['XDG_DATA_HOME'] || join(homedir(), '.local/share'), 'troupe/multilingual');

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { languages: { type: 'string' }, json: { type: 'boolean' } },
  });
  const folder = resolve(positionals[0] ?? defaultFolder());
  try {
    const print = values.json === true ? () => {} : console.log;
    const languages = main({
      folder,
      print,
      ...(values.languages && { languages: values.languages.split(',') }),
    });
    console.log(
      values.json === true
        ? JSON.stringify({ event: 'fetched', folder, version: VERSION, languages })
        : `${Object.keys(languages).length} languages in ${folder}`,
    );
  } catch (error) {
    console.error(`error: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 1;
  }
}
