import { Composer, Lexer, Parser, type CST, type Document, type LineCounter } from 'yaml';
import { limits } from './limits.ts';

/** The documents of a text before anyone asks what they mean, or where it nests too deeply. */
export type Composition = { readonly documents: readonly Document.Parsed[] } | { readonly tooDeepAt: number };

/** The parser's stack holds the document, a value and its property beside every level. */
const STACK_MAX = limits.depth + 3;

/**
 * Composes the documents of a YAML text.
 *
 * The composer calls itself once a level and ends the whole process some thousand levels down, where no `catch` helps. The parser
 * before it does not, so its stack is looked at first.
 *
 * @param lines - is told where lines start
 */
export function composeYaml(text: string, lines: LineCounter): Composition {
  const parser = new Parser(lines.addNewLine);
  const tokens: CST.Token[] = [];
  lines.addNewLine(0);
  for (const lexeme of new Lexer().lex(text)) {
    tokens.push(...parser.next(lexeme));
    if (parser.stack.length > STACK_MAX) return { tooDeepAt: parser.offset };
  }
  tokens.push(...parser.end());
  // Its search for keys that stand twice takes the square of their number; `document.ts` looks for them itself.
  const composer = new Composer({ prettyErrors: false, strict: true, uniqueKeys: false, stringKeys: true });
  return { documents: [...composer.compose(tokens, true, text.length)] };
}
