import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DataConfigError, DataSourceError } from '../errors.ts';
import { installedPackage } from '../installed-package.ts';
import { unreadable } from '../text-lines.ts';
import { oneLine, type TextPair } from './text-pair.ts';

/** Version 5.9, a dependency of this package alone: later ones have no translations. Apache-2.0. */
const located = (): { readonly folder: string; readonly version: string } =>
  installedPackage('typescript', (require) => require.resolve('typescript/package.json'));

const translations = (folder: string, language: string): string =>
  join(folder, 'lib', language, 'diagnosticMessages.generated.json');

/** What the messages depend on: the package's version. */
export const typescriptIdentity = (): string => `typescript@${located().version}`;

/** The languages that the messages of the TypeScript compiler are translated to, as its package names them: `de`, `pt-br`, `zh-cn`. */
export function typescriptLanguages(): readonly string[] {
  const { folder, version } = located();
  const languages = readdirSync(join(folder, 'lib'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .sort();
  if (languages.length > 0) return languages;
  throw new DataSourceError(
    folder,
    `typescript ${version} has no translations`,
    'version 5.9 has: run npm ci, or npm install @troupe/data',
  );
}

/**
 * The messages of the TypeScript compiler in English and other languages: about 2,100 sentences each.
 *
 * A document is a message; it has the same name in every language.
 *
 * @param languages - default all 13
 * @throws {DataSourceError} TROUPE_DATA_UNREADABLE when the package or one of its files is missing
 * @throws {DataConfigError} TROUPE_DATA_CONFIG for a language that it does not have
 */
export function* typescriptPairs(languages?: readonly string[]): Generator<TextPair> {
  const { folder } = located();
  const known = typescriptLanguages();
  const unknown = languages?.find((language) => !known.includes(language));
  if (unknown !== undefined)
    throw new DataConfigError(`TypeScript has no messages in ${unknown}`, `choose from ${known.join(', ')}`);
  const english = englishMessages(join(folder, 'lib', 'typescript.js'));
  for (const to of languages ?? known) {
    const translated = JSON.parse(textOf(translations(folder, to))) as Readonly<Record<string, string>>;
    for (const [key, source] of english) {
      const target = oneLine(translated[key] ?? '');
      if (target !== '') yield { from: 'en', to, source, target, document: `typescript/${key}` };
    }
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw unreadable(path, error);
  }
}

/** Key and English text of each message; its source says `diag(1002, 1, "Unterminated_string_literal_1002", "Unterminated …")`. */
function englishMessages(path: string): ReadonlyMap<string, string> {
  const messages = new Map<string, string>();
  for (const [, key = '', , literal = ''] of textOf(path).matchAll(
    /\bdiag\(\s*\d+,\s*\d+(?: \/\*[^*]*\*\/)?,\s*"([^"]+)",\s*(["'`])((?:[^\\]|\\.)*?)\2/g,
  ))
    messages.set(key, oneLine(saidBy(literal)));
  if (messages.size === 0) throw new DataSourceError(path, 'it holds no messages', 'run npm ci');
  return messages;
}

/** The inside of a literal in any quotes, read as JSON reads the inside of one in double quotes. */
const saidBy = (literal: string): string =>
  JSON.parse(
    `"${literal.replaceAll(/\\?(["'`])/g, (_, quote) => (quote === '"' ? '\\"' : quote))}"`,
  ) as string;
