import { createHash } from 'node:crypto';
import { assert } from '@troupe/core';

/** Longest text of a record: one of more is a bug of who writes it. */
const MOST_BYTES = 2 ** 26;
/** `LENGTH CHECKSUM ` in front of the text: its bytes, and the first 64 bits of their SHA-256. */
const head = /^([1-9]\d{0,7}) ([0-9a-f]{16}) /u;
/** What a cut leaves of it: always shorter than `HEAD_BYTES`. */
const cutHead = /^(?:[1-9]\d{0,7}(?: [0-9a-f]{0,16})?)?$/u;
const HEAD_BYTES = 26;

const NEWLINE = 0x0a;

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
const latin = new TextDecoder('latin1');

const checksumOf = (bytes: Uint8Array): string =>
  createHash('sha256').update(bytes).digest('hex').slice(0, 16);

/** A text as a line that says how long it is and what it hashes to. It has no line break of its own: JSON has none. */
export function lineOf(text: string): Uint8Array {
  const bytes = encoder.encode(text);
  assert(bytes.byteLength <= MOST_BYTES, 'a record has a bound', { bytes: bytes.byteLength });
  assert(!bytes.includes(NEWLINE), 'a record is one line');
  const before = encoder.encode(`${bytes.byteLength} ${checksumOf(bytes)} `);
  const line = new Uint8Array(before.byteLength + bytes.byteLength + 1);
  line.set(before);
  line.set(bytes, before.byteLength);
  line[line.byteLength - 1] = NEWLINE;
  return line;
}

/** What a line is, its line break left out: a text, cut off at its end, or damaged. */
export type Line =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'cut' }
  | { readonly kind: 'damaged'; readonly problem: string };

const damaged = (problem: string): Line => ({ kind: 'damaged', problem });

/** Reads a line back. JRN-2: only what {@link lineOf} wrote is a text, and only a beginning of that is cut. */
export function readLine(bytes: Uint8Array): Line {
  const start = latin.decode(bytes.subarray(0, HEAD_BYTES));
  const found = head.exec(start);
  if (found === null)
    return cutHead.test(start) ? { kind: 'cut' } : damaged('it does not begin with a length and a checksum');
  const [{ length }, digits = '', checksum] = found;
  const text = bytes.subarray(length);
  if (text.byteLength < Number(digits)) return { kind: 'cut' };
  if (text.byteLength > Number(digits))
    return damaged(`it has ${text.byteLength} bytes, and says that they are ${digits}`);
  if (checksumOf(text) !== checksum) return damaged('its bytes do not have its checksum');
  return { kind: 'text', text: decoder.decode(text) };
}

/** The lines of a file with their places; of the last one whether a line break ends it. */
export function* linesIn(
  bytes: Uint8Array,
): Generator<{ readonly bytes: Uint8Array; readonly from: number; readonly isEnded: boolean }> {
  for (let from = 0; from < bytes.byteLength;) {
    const end = bytes.indexOf(NEWLINE, from);
    const to = end < 0 ? bytes.byteLength : end;
    yield { bytes: bytes.subarray(from, to), from, isEnded: end >= 0 };
    from = to + 1;
  }
}
