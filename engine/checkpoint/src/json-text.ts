/** What a JSON text may hold; judged before anything is built from it. */
export interface JsonLimits {
  readonly bytes: number;
  /** Objects and lists inside each other. */
  readonly depth: number;
  /** Values and keys, each of which takes memory of its own. */
  readonly values: number;
}

/** Limits of a text that a program wrote about a model. */
export const jsonLimits: JsonLimits = { bytes: 100_000_000, depth: 64, values: 2 ** 24 };

const [QUOTE, BACKSLASH, COMMA, COLON] = [0x22, 0x5c, 0x2c, 0x3a];
const [OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d];

/** Why a text is beyond its limits, or null. The text need not be JSON. */
function excess(bytes: Uint8Array, limits: JsonLimits): string | null {
  if (bytes.byteLength > limits.bytes)
    return `has ${bytes.byteLength} bytes of JSON; at most ${limits.bytes} are read`;
  let [depth, numValues, isString] = [0, 0, false];
  for (let at = 0; at < bytes.byteLength; at++) {
    const byte = bytes[at];
    if (isString) {
      if (byte === BACKSLASH) at++;
      else if (byte === QUOTE) isString = false;
    } else if (byte === QUOTE) isString = true;
    else if (byte === COMMA || byte === COLON) numValues++;
    else if (byte === OPEN_LIST || byte === OPEN_OBJECT) {
      numValues++;
      depth++;
      if (depth > limits.depth) return `has JSON nested more than ${limits.depth} deep`;
    } else if (byte === CLOSE_LIST || byte === CLOSE_OBJECT) depth--;
  }
  return numValues > limits.values ? `has JSON of more than ${limits.values} values` : null;
}

/** `problem` continues a sentence that begins with the name of what was read. */
export type JsonReading = { readonly text: string; readonly value: unknown } | { readonly problem: string };

/**
 * Parses JSON that somebody else wrote: UTF-8 without half surrogates, within its limits.
 *
 * Of two equal keys the last counts, as in every reader; `duplicateKey` finds them where that would hide something.
 */
export function parseJson(bytes: Uint8Array, limits: JsonLimits = jsonLimits): JsonReading {
  const problem = excess(bytes, limits);
  if (problem !== null) return { problem };
  let text: string;
  let value: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    value = JSON.parse(text);
  } catch (error) {
    return { problem: `is no JSON: ${error instanceof Error ? error.message : String(error)}` };
  }
  if (hasLoneSurrogate(text)) return { problem: 'has half a surrogate pair, which is no text' };
  return { text, value };
}

/** A `\uD800` to `\uDFFF` that has no partner; the text around it is JSON. */
function hasLoneSurrogate(json: string): boolean {
  for (const [escape] of json.matchAll(/\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|u[dD][89a-fA-F]..|.)/gu))
    if (/^\\u[dD]/u.test(escape) && escape.length === 6) return true;
  return false;
}

export const isJsonObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Most characters of a name that a sentence shows. */
const SHOWN_MAX = 120;

const clipped = (text: string): string => (text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}…` : text);

/** A name out of a file, for a sentence: short, on one line. */
export const quoted = (name: string): string => {
  const text = clipped(name);
  return /[\p{Cc}\p{Zl}\p{Zp}]/u.test(text) ? JSON.stringify(text) : `'${text}'`;
};

/** A value out of a file, for a sentence. */
export const shownJson = (value: unknown): string => clipped(JSON.stringify(value) ?? 'missing');
