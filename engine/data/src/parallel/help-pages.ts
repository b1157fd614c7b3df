import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { DataConfigError, DataSourceError } from '../errors.ts';
import { unreadable } from '../text-lines.ts';
import { oneLine, type TextPair } from './text-pair.ts';

/** A paragraph or heading with a name; names that start with `bm_` are for the program, not for people. */
const block = /<(p|h[1-6])\b[^>]*\bid="(?!bm_)([^"]+)"[^>]*>([\s\S]*?)<\/\1>/g;

const entities: Readonly<Record<string, string>> = {
  '&lt;': '<',
  '&gt;': '>',
  '&quot;': '"',
  '&nbsp;': ' ',
  '&#160;': ' ',
  '&amp;': '&',
};

/**
 * The paragraphs of one page of LibreOffice's HTML help by their ids, which are the same in every language.
 *
 * Where the text depends on the system or the program (`switchinline`), the usual one is taken. Paragraphs without a letter are left out.
 */
export function helpParagraphs(html: string): ReadonlyMap<string, string> {
  const paragraphs = new Map<string, string>();
  for (const [, , id, inner] of html.matchAll(block)) {
    const text = oneLine(visibleText(inner ?? ''));
    if (id !== undefined && /\p{L}/u.test(text) && !paragraphs.has(id)) paragraphs.set(id, text);
  }
  return paragraphs;
}

function visibleText(html: string): string {
  const parts = html.match(/<[^>]*>|[^<]+/g) ?? [];
  let at = 0;
  function read(isSwitch: boolean): string {
    let text = '';
    let chosen: string | undefined;
    while (at < parts.length) {
      const part = parts[at++] ?? '';
      if (part.startsWith('</span')) break;
      if (part.startsWith('<span')) {
        const inner = read(part.includes('class="switchinline"'));
        if (!isSwitch || !part.includes('hidden')) text += inner;
        else if (chosen === undefined || part.includes('id="default')) chosen = inner;
      } else if (part.startsWith('<br')) text += ' ';
      else if (!part.startsWith('<')) text += part;
    }
    return text + (chosen ?? '');
  }
  let text = '';
  while (at < parts.length) text += read(false);
  return text.replaceAll(/&(?:lt|gt|quot|nbsp|#160|amp);/g, (entity) => entities[entity] ?? entity);
}

export interface HelpPairsOptions {
  /** Holds a folder for each language, in it `text/…/*.html`: `usr/share/libreoffice/help` of unpacked `libreoffice-help-…` packages. */
  readonly folder: string;
  /** As the folders are named: `de`, `zh-CN`. Default: all but English. */
  readonly languages?: readonly string[];
}

/** English is what the others are translated from. */
const ENGLISH = 'en-US';

/**
 * Pairs of LibreOffice's HTML help: paragraphs with the same id in the same page. What is the same as in English is not translated and is left out.
 *
 * A document is a page, named by its path, which is the same in every language.
 *
 * @throws {DataSourceError} TROUPE_DATA_UNREADABLE when the folder or a page cannot be read
 * @throws {DataConfigError} TROUPE_DATA_CONFIG for a language without a folder
 */
export function* helpPairs({ folder, languages }: HelpPairsOptions): Generator<TextPair> {
  const known = languagesIn(folder);
  if (!known.includes(ENGLISH))
    throw new DataSourceError(folder, `no folder ${ENGLISH}`, 'unpack libreoffice-help-en-us there, too');
  const others = known.filter((name) => name !== ENGLISH);
  const unknown = languages?.find((language) => !others.includes(language));
  if (unknown !== undefined)
    throw new DataConfigError(`${folder} has no language ${unknown}`, `choose from ${others.join(', ')}`);
  const pages = pagesUnder(join(folder, ENGLISH, 'text'));
  const english = new Map(pages.map((page) => [page, paragraphsOf(join(folder, ENGLISH, 'text', page))]));
  for (const to of languages ?? others)
    for (const page of pagesUnder(join(folder, to, 'text'))) {
      const originals = english.get(page);
      if (originals === undefined) continue;
      for (const [id, target] of paragraphsOf(join(folder, to, 'text', page))) {
        const source = originals.get(id);
        if (source !== undefined && source !== target)
          yield { from: 'en', to, source, target, document: page };
      }
    }
}

function paragraphsOf(path: string): ReadonlyMap<string, string> {
  try {
    return helpParagraphs(readFileSync(path, 'utf8'));
  } catch (error) {
    throw unreadable(path, error);
  }
}

/** Languages: folders that hold a folder `text`. */
function languagesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && existsSync(join(folder, entry.name, 'text')))
      .map(({ name }) => name)
      .sort();
  } catch (error) {
    throw unreadable(folder, error);
  }
}

/** Paths below the folder, with `/`, in an order that no file system decides. */
function pagesUnder(folder: string): readonly string[] {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name.endsWith('.html'))
      .map((entry) => relative(folder, join(entry.parentPath, entry.name)).replaceAll(sep, '/'))
      .sort();
  } catch (error) {
    throw unreadable(folder, error);
  }
}
