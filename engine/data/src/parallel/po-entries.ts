import { DataLineError } from '../errors.ts';

/** One message of a gettext catalogue. */
export interface PoEntry {
  /** Of its `msgid`, from 1. */
  readonly line: number;
  readonly context: string;
  readonly id: string;
  /** Empty when the message has no plural. */
  readonly plural: string;
  /** `msgstr`, or `msgstr[0]`, `msgstr[1]`, …; empty strings are not translated. */
  readonly strings: readonly string[];
  /** A translator is unsure: gettext itself does not use it. */
  readonly isFuzzy: boolean;
  /** File of the program in which the message stands, without the line; empty when none is named. */
  readonly reference: string;
}

const controls: Readonly<Record<string, string>> = {
  n: '\n',
  t: '\t',
  r: '\r',
  a: '\u0007',
  b: '\b',
  f: '\f',
  v: '\v',
};

/** What a C string says: `\n`, `\"`, `\\`, octal and hexadecimal codes. */
const unescaped = (text: string): string =>
  text.replaceAll(
    /\\(?:([0-7]{1,3})|x([0-9a-fA-F]{1,2})|(.))/gs,
    (_, octal?: string, hex?: string, other = '') =>
      octal === undefined && hex === undefined
        ? (controls[other] ?? other)
        : String.fromCharCode(
            octal === undefined ? Number.parseInt(hex ?? '0', 16) : Number.parseInt(octal, 8),
          ),
  );

interface Draft {
  line: number;
  context: string;
  id: string;
  plural: string;
  strings: string[];
  isFuzzy: boolean;
  reference: string;
  /** The string that a line of quotes goes on with: a member, or the index of a `msgstr`. */
  open: 'context' | 'id' | 'plural' | number | null;
}

const draft = (): Draft => ({
  line: 0,
  context: '',
  id: '',
  plural: '',
  strings: [],
  isFuzzy: false,
  reference: '',
  open: null,
});

const members: Readonly<Record<string, 'context' | 'id' | 'plural'>> = {
  msgctxt: 'context',
  msgid: 'id',
  msgid_plural: 'plural',
};

/**
 * The messages of a gettext catalogue, the header (empty `id`) among them.
 *
 * Obsolete ones (`#~`) and earlier texts (`#|`) are passed over.
 *
 * @param file - for messages
 * @throws {DataLineError} TROUPE_DATA_LINE with file:line for a line that a catalogue cannot hold
 * @see GNU gettext manual, "The format of PO files"
 */
export async function* poEntries(
  lines: Iterable<string> | AsyncIterable<string>,
  file: string,
): AsyncGenerator<PoEntry> {
  let entry = draft();
  let lineNumber = 0;
  for await (const line of lines) {
    lineNumber++;
    const text = line.trim();
    const isApart = text === '' || text.startsWith('#~');
    // Comments and the first word of a message stand before anything else of it.
    const begins = text.startsWith('#') || /^msg(?:ctxt|id)\s/.test(text);
    const isWhole = entry.strings.length > 0;
    if (isWhole && (isApart || begins)) yield entry;
    if ((isWhole && (isApart || begins)) || (isApart && entry.open === null)) entry = draft();
    if (text.startsWith('#')) readComment(entry, text);
    else if (text !== '') readString(entry, text, file, lineNumber);
  }
  if (entry.strings.length > 0) yield entry;
}

function readComment(entry: Draft, text: string): void {
  if (text.startsWith('#,')) entry.isFuzzy ||= /\bfuzzy\b/.test(text);
  if (text.startsWith('#:') && entry.reference === '')
    entry.reference = (text.slice(2).trim().split(/\s+/)[0] ?? '').replace(/:\d+$/, '');
}

function readString(entry: Draft, text: string, file: string, lineNumber: number): void {
  const match = /^(?:(msgctxt|msgid|msgid_plural|msgstr)(?:\[(\d+)\])?\s*)?"((?:[^"\\]|\\.)*)"$/.exec(text);
  const [, word, index, quoted = ''] = match ?? [];
  if (match === null || (word === undefined && entry.open === null))
    throw new DataLineError(
      file,
      lineNumber,
      `'${text.length > 40 ? `${text.slice(0, 40)}…` : text}' is no line of a gettext catalogue`,
      'expected a comment, or msgctxt, msgid, msgid_plural, msgstr or nothing, and a string in quotes',
    );
  if (word !== undefined) entry.open = members[word] ?? Number(index ?? 0);
  if (word === 'msgid') entry.line = lineNumber;
  const string = unescaped(quoted);
  const { open } = entry;
  if (typeof open === 'number') entry.strings[open] = (entry.strings[open] ?? '') + string;
  else if (open !== null) entry[open] += string;
}
