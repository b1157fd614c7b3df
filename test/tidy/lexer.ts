/** One source text in three channels of equal length; what belongs to another channel is blank, line ends stay. */
export interface Channels {
  /** Code with its strings, without comments: what imports are read from. */
  readonly withStrings: string;
  /** Code with strings and regular expressions blanked: what calls and types are read from. */
  readonly bare: string;
  /** Comments alone. */
  readonly comments: string;
}

type Channel = 'code' | 'string' | 'comment';

/** A slash after one of these begins a regular expression, after a name or a closing bracket it divides. */
const beforeRegex =
  /(?:^|[=(,:;!&|?{}[\]+\-*%<>~^]|\b(?:return|typeof|case|in|of|do|else|void|yield|await))\s*$/;

/**
 * Splits TypeScript into code, strings and comments: enough of a lexer to judge imports and calls, since TypeScript 7 has no
 * compiler API. Knows nested templates and regular expressions; a string that never ends, ends with its line.
 */
export function splitSource(text: string): Channels {
  const channelOf: Channel[] = Array.from({ length: text.length }, () => 'code');
  const mark = (from: number, to: number, channel: Channel): void => {
    channelOf.fill(channel, from, Math.min(to, text.length));
  };
  /** Depth of braces at which each open template's expression ends. */
  const templates: number[] = [];
  let depth = 0;
  let at = 0;
  const templatePart = (from: number): number => {
    let end = from;
    while (end < text.length && text[end] !== '`') {
      if (text[end] === '\\') end++;
      else if (text[end] === '$' && text[end + 1] === '{') {
        mark(from, end, 'string');
        templates.push(depth++);
        return end + 2;
      }
      end++;
    }
    mark(from, end, 'string');
    return end + 1;
  };
  while (at < text.length) {
    const two = text.slice(at, at + 2);
    const char = text[at];
    if (two === '//' || two === '/*') {
      const found = two === '//' ? text.indexOf('\n', at) : text.indexOf('*/', at + 2);
      const end = found < 0 ? text.length : two === '//' ? found : found + 2;
      mark(at, end, 'comment');
      at = end;
    } else if (char === "'" || char === '"') {
      let end = at + 1;
      while (end < text.length && text[end] !== char && text[end] !== '\n') end += text[end] === '\\' ? 2 : 1;
      mark(at + 1, end, 'string');
      at = end + 1;
    } else if (char === '`') {
      at = templatePart(at + 1);
    } else if (char === '/' && beforeRegex.test(text.slice(Math.max(0, at - 40), at))) {
      let end = at + 1;
      for (
        let inClass = false;
        end < text.length && text[end] !== '\n' && (inClass || text[end] !== '/');
        end++
      ) {
        if (text[end] === '\\') end++;
        else if (text[end] === '[') inClass = true;
        else if (text[end] === ']') inClass = false;
      }
      mark(at + 1, end, 'string');
      at = end + 1;
    } else {
      if (char === '{') depth++;
      if (char === '}') {
        depth--;
        if (templates.at(-1) === depth) {
          templates.pop();
          at = templatePart(at + 1);
          continue;
        }
      }
      at++;
    }
  }
  const keep = (kept: readonly Channel[]): string =>
    Array.from(channelOf, (channel, index) =>
      text[index] === '\n' || kept.includes(channel) ? text[index] : ' ',
    ).join('');
  return { withStrings: keep(['code', 'string']), bare: keep(['code']), comments: keep(['comment']) };
}

export const lineAt = (text: string, index: number): number => text.slice(0, index).split('\n').length;
