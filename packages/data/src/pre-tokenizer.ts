import { TokenizerFeatureError } from './errors.ts';
import { translateRegex } from './regex-dialect.ts';
import type { PreTokenizerJson } from './tokenizer-json.ts';

/** Cuts a text into the pieces that no merge crosses. */
export type PreTokenizer = (text: string) => readonly string[];

/** GPT-2's split: contractions, words with their leading space, numbers, punctuation, white space. */
export const GPT2_PATTERN =
  "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

type Behavior = 'Isolated' | 'Removed' | 'Contiguous' | 'MergedWithPrevious' | 'MergedWithNext';
const behaviors: readonly string[] = [
  'Isolated',
  'Removed',
  'Contiguous',
  'MergedWithPrevious',
  'MergedWithNext',
];

interface Span {
  readonly text: string;
  readonly delimiter: boolean;
}

/** Matches and what lies between them, in order, nothing empty. */
function spansOf(text: string, regex: RegExp, invert: boolean): Span[] {
  const spans: Span[] = [];
  let end = 0;
  for (const match of text.matchAll(regex)) {
    if (match[0] === '') continue;
    if (match.index > end) spans.push({ text: text.slice(end, match.index), delimiter: invert });
    spans.push({ text: match[0], delimiter: !invert });
    end = match.index + match[0].length;
  }
  if (end < text.length) spans.push({ text: text.slice(end), delimiter: invert });
  return spans;
}

/** Joins spans as the behaviour says. */
function arrange(spans: readonly Span[], behavior: Behavior): string[] {
  if (behavior === 'Isolated') return spans.map((span) => span.text);
  if (behavior === 'Removed') return spans.filter((span) => !span.delimiter).map((span) => span.text);
  const pieces: string[] = [];
  let previous: boolean | undefined;
  const joins = (span: Span): boolean => {
    if (previous === undefined) return false;
    if (behavior === 'Contiguous') return previous === span.delimiter;
    if (behavior === 'MergedWithPrevious') return span.delimiter && !previous;
    return previous && !span.delimiter;
  };
  for (const span of spans) {
    if (joins(span)) pieces[pieces.length - 1] += span.text;
    else pieces.push(span.text);
    previous = span.delimiter;
  }
  return pieces;
}

function splitBy(regex: RegExp, behavior: Behavior, invert: boolean): PreTokenizer {
  return (text) => {
    if (behavior === 'Isolated') {
      // Patterns that cover everything, as all of GPT-2's family do, need no spans.
      const matches = text.match(regex);
      if (matches !== null) {
        let length = 0;
        for (const match of matches) length += match.length;
        if (length === text.length && !matches.includes('')) return matches;
      }
    }
    return arrange(spansOf(text, regex, invert), behavior);
  };
}

const escaped = (literal: string): RegExp =>
  new RegExp(literal.replaceAll(/[\\^$.*+?()[\]{}|/]/g, '\\$&'), 'gu');

function byteLevel(json: PreTokenizerJson): PreTokenizer {
  const split =
    json.use_regex === false
      ? (text: string) => [text]
      : splitBy(translateRegex(GPT2_PATTERN), 'Isolated', false);
  return json.add_prefix_space === true ? (text) => split(text.startsWith(' ') ? text : ` ${text}`) : split;
}

function splitOf(json: PreTokenizerJson): PreTokenizer {
  const behavior = json.behavior ?? 'Isolated';
  if (!behaviors.includes(behavior)) throw new TokenizerFeatureError(`the split behaviour ${behavior}`);
  const { pattern } = json;
  if (pattern?.Regex === undefined && pattern?.String === undefined)
    throw new TokenizerFeatureError('a Split without Regex or String');
  const regex = pattern.Regex === undefined ? escaped(pattern.String ?? '') : translateRegex(pattern.Regex);
  return splitBy(regex, behavior as Behavior, json.invert === true);
}

/**
 * Builds the pre-tokenizer that a tokenizer.json describes. The byte step of `ByteLevel` is left to the model.
 *
 * @throws {TokenizerFeatureError} TROUPE_DATA_TOKENIZER_FEATURE for any type but ByteLevel, Split, Digits and Sequence
 */
export function preTokenizerOf(json: PreTokenizerJson | null): PreTokenizer {
  if (json === null) return (text) => [text];
  switch (json.type) {
    case 'ByteLevel':
      return byteLevel(json);
    case 'Split':
      return splitOf(json);
    case 'Digits':
      return splitBy(json.individual_digits === true ? /\p{N}/gu : /\p{N}+/gu, 'Isolated', false);
    case 'Sequence': {
      const steps = (json.pretokenizers ?? []).map(preTokenizerOf);
      if (steps.length === 1 && steps[0] !== undefined) return steps[0];
      return (text) => steps.reduce<readonly string[]>((pieces, step) => pieces.flatMap(step), [text]);
    }
    default:
      throw new TokenizerFeatureError(`the pre-tokenizer ${json.type}`);
  }
}

/** True when bytes are what the model sees, at whatever depth the step stands. */
export function isByteLevel(json: PreTokenizerJson | null): boolean {
  return (
    json?.type === 'ByteLevel' || (json?.type === 'Sequence' && (json.pretokenizers ?? []).some(isByteLevel))
  );
}
