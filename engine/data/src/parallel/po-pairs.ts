import { basename } from 'node:path';
import { readLines } from '../text-lines.ts';
import { pluralRuleOf, type PluralRule } from './plural-rule.ts';
import { poEntries, type PoEntry } from './po-entries.ts';
import { oneLine, type TextPair } from './text-pair.ts';

export interface PoPairsOptions {
  /** The language of the `msgid`s. */
  readonly from: string;
  readonly to: string;
  /** UTF-8; `.gz`: unzipped. */
  readonly file: string;
}

/**
 * Pairs of a gettext catalogue: translated messages that are neither fuzzy nor obsolete.
 *
 * A message with plural forms gives two pairs: its singular with the form for 1, its plural with the form for 5, by the catalogue's own
 * rule; one pair where both take the same form. A document is the file of the program that the message stands in, else the message itself.
 *
 * @throws {DataSourceError} TROUPE_DATA_UNREADABLE when the file cannot be read
 * @throws {DataLineError} TROUPE_DATA_LINE with file:line for a line that a catalogue cannot hold
 */
export async function* poPairs({ from, to, file }: PoPairsOptions): AsyncGenerator<TextPair> {
  let formOf = pluralRuleOf('');
  for await (const entry of poEntries(readLines(file), file)) {
    if (entry.id === '') formOf = pluralRuleOf(entry.strings[0] ?? '');
    else if (!entry.isFuzzy) {
      const document = entry.reference || `${basename(file)}:${entry.line}`;
      for (const [id, string] of textsOf(entry, formOf)) {
        const [source, target] = [oneLine(id), oneLine(string)];
        if (source !== '' && target !== '') yield { from, to, source, target, document };
      }
    }
  }
}

/** The texts of an entry, each with its translation, which may be empty. */
function textsOf(
  { id, plural, strings }: PoEntry,
  formOf: PluralRule,
): readonly (readonly [string, string])[] {
  if (plural === '') return [[id, strings[0] ?? '']];
  const [one, many] = [formOf(1), formOf(5)];
  const ofMany = [plural, strings[many] ?? ''] as const;
  return one === many ? [ofMany] : [[id, strings[one] ?? ''], ofMany];
}
