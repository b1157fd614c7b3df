import { TokenizerFeatureError } from './errors.ts';

const refuse = (feature: string, pattern: string): never => {
  throw new TokenizerFeatureError(`${feature} in the regular expression ${pattern}`);
};

/** White space as Unicode defines it: JavaScript's `\s` takes U+FEFF and leaves U+0085 out. */
const classes: Readonly<Record<string, readonly [alone: string, inClass: string]>> = {
  s: ['\\p{White_Space}', '\\p{White_Space}'],
  S: ['\\P{White_Space}', '\\P{White_Space}'],
  d: ['\\p{Nd}', '\\p{Nd}'],
  D: ['\\P{Nd}', '\\P{Nd}'],
  w: ['[\\p{L}\\p{M}\\p{N}\\p{Pc}]', '\\p{L}\\p{M}\\p{N}\\p{Pc}'],
  W: ['[^\\p{L}\\p{M}\\p{N}\\p{Pc}]', ''],
};
const controls: Readonly<Record<string, string>> = {
  r: '\\r',
  n: '\\n',
  t: '\\t',
  f: '\\f',
  v: '\\v',
  a: '\\x07',
  e: '\\x1b',
};
/** Characters beyond ASCII that fold to an ASCII letter. */
const foldsTo: Readonly<Record<string, string>> = { s: '\u017f', k: '\u212a' };

const escapeLiteral = (character: string): string =>
  character === '-' ? '\\x2d' : character.replace(/[\\^$.*+?()[\]{}|/]/u, '\\$&');

const codeOfControl: Readonly<Record<string, string>> = { r: '\r', n: '\n', t: '\t', f: '\f', v: '\v' };

/** The character that a translated escape stands for; null for a class. */
function characterOfEscape(text: string): string | null {
  const code = /^\\(?:u\{([0-9a-fA-F]+)\}|x([0-9a-fA-F]{2}))$/.exec(text);
  if (code !== null) return String.fromCodePoint(Number.parseInt(code[1] ?? code[2] ?? '', 16));
  if (text.startsWith('\\p') || text.startsWith('\\P')) return null;
  const bare = text.replace(/^\\/, '');
  return text === bare ? text : (codeOfControl[bare] ?? bare);
}

/** All cases of a literal, for `(?i:…)`. */
function casesOf(character: string): string[] {
  const lower = character.toLowerCase();
  const cases = [character, lower, character.toUpperCase(), foldsTo[lower] ?? lower];
  return [...new Set(cases)].filter((one) => Array.from(one).length === 1);
}

/**
 * Rewrites a pattern of Oniguruma (what Hugging Face tokenizers compiles) for JavaScript's `u` mode.
 *
 * Node 20 has no `(?i:…)`, no possessive or atomic groups, another `\s`, and refuses needless escapes.
 * A construct that would mean something else here is refused by name, never guessed.
 *
 * @throws {TokenizerFeatureError} TROUPE_DATA_TOKENIZER_FEATURE
 */
export function translateRegex(pattern: string): RegExp {
  const translated = new Translation(pattern).run();
  try {
    return new RegExp(translated, 'gu');
  } catch (error) {
    return refuse(error instanceof Error ? error.message : 'an invalid pattern', pattern);
  }
}

class Translation {
  private readonly pattern: string;
  private readonly characters: readonly string[];
  private at = 0;
  private ignoreCase = false;
  private numAtomic = 0;
  /** Translated pieces; an atom is all pieces from `atomStart` on. */
  private readonly out: string[] = [];
  private atomStart = 0;

  constructor(pattern: string) {
    this.pattern = pattern;
    this.characters = Array.from(pattern);
  }

  run(): string {
    this.alternatives(false);
    return this.out.join('');
  }

  private peek(text: string): boolean {
    return this.characters.slice(this.at, this.at + text.length).join('') === text;
  }

  /** Everything up to the closing parenthesis, or to the end. */
  private alternatives(inGroup: boolean): void {
    while (this.at < this.characters.length) {
      const character = this.characters[this.at] ?? '';
      if (character === ')') {
        if (!inGroup) refuse('an unmatched )', this.pattern);
        return;
      }
      if (character === '|') {
        this.at++;
        this.out.push('|');
      } else {
        this.atom(character);
        this.quantifiers();
      }
    }
    if (inGroup) refuse('an unclosed group', this.pattern);
  }

  private atom(character: string): void {
    this.atomStart = this.out.length;
    if (character === '(') this.group();
    else if (character === '[') this.characterClass();
    else if (character === '\\') {
      const text = this.escape(false);
      const single = characterOfEscape(text);
      this.out.push(
        this.ignoreCase && single !== null && Array.from(single).length === 1 ? this.literal(single) : text,
      );
    } else {
      this.at++;
      if (character === '.') this.out.push('[^\\n]');
      else if (character === '^') this.out.push('(?<![^\\n])');
      else if (character === '$') this.out.push('(?![^\\n])');
      else this.out.push(this.literal(character));
    }
  }

  private literal(character: string): string {
    const cases = this.ignoreCase ? casesOf(character) : [character];
    return cases.length === 1 ? escapeLiteral(character) : `[${cases.map(escapeLiteral).join('')}]`;
  }

  private group(): void {
    const start = this.out.length;
    const outerCase = this.ignoreCase;
    const opener = ['(?:', '(?=', '(?!', '(?<=', '(?<!', '(?>', '(?i:'].find((text) => this.peek(text));
    if (opener === undefined && this.peek('(?')) refuse('a group that is not plain', this.pattern);
    this.at += opener?.length ?? 1;
    if (opener === '(?i:') this.ignoreCase = true;
    const atomic = opener === '(?>';
    this.out.push(opener === undefined || opener === '(?i:' || atomic ? '(?:' : opener);
    this.alternatives(true);
    this.at++;
    this.out.push(')');
    this.ignoreCase = outerCase;
    this.atomStart = start;
    if (atomic) this.makeAtomic();
  }

  /** JavaScript has no atomic groups, but a lookahead never gives back what it captured. */
  private makeAtomic(): void {
    const name = `atomic${this.numAtomic++}`;
    const body = this.out.splice(this.atomStart).join('');
    this.out.push(`(?=(?<${name}>${body}))\\k<${name}>`);
  }

  private quantifiers(): void {
    const rest = this.characters.slice(this.at).join('');
    const counted = /^(?:\{\d+(?:,\d*)?\}|\{,\d+\})/.exec(rest)?.[0];
    const quantifier = counted ?? /^[?*+]/.exec(rest)?.[0];
    if (quantifier === undefined) return;
    this.at += quantifier.length;
    this.out.push(quantifier.startsWith('{,') ? `{0${quantifier.slice(1)}` : quantifier);
    const suffix = this.characters[this.at];
    if (suffix === '?') {
      if (counted !== undefined && !counted.includes(','))
        refuse('an optional fixed repetition', this.pattern);
      this.at++;
      this.out.push('?');
    } else if (suffix === '+') {
      if (counted !== undefined) refuse('a repeated repetition', this.pattern);
      this.at++;
      this.makeAtomic();
    }
    if (/^[?*+]$/.test(this.characters[this.at] ?? '')) refuse('a repeated repetition', this.pattern);
  }

  private characterClass(): void {
    this.at++;
    let body = '[';
    if (this.characters[this.at] === '^') {
      body += '^';
      this.at++;
    }
    for (let first = true; first || this.characters[this.at] !== ']'; first = false)
      body += this.classMember();
    this.at++;
    this.out.push(`${body}]`);
  }

  /** One character, escape or range inside […]. */
  private classMember(): string {
    const from = this.classItem();
    const next = this.characters[this.at + 1];
    if (from.character === null || this.characters[this.at] !== '-' || next === undefined || next === ']')
      return from.text;
    this.at++;
    const to = this.classItem();
    if (to.character === null) return refuse('a range that ends in a class', this.pattern);
    return this.range(from.character, to.character);
  }

  /** A single character (all its cases as text), or a class such as `\\s` (character null). */
  private classItem(): { readonly text: string; readonly character: string | null } {
    const character = this.characters[this.at];
    if (character === undefined) return refuse('an unclosed [', this.pattern);
    if (character === '[' || this.peek('&&')) refuse('a nested character class', this.pattern);
    if (character === '\\') {
      const text = this.escape(true);
      const single = characterOfEscape(text);
      return { text: single === null ? text : this.casesInClass(single), character: single };
    }
    this.at++;
    return { text: this.casesInClass(character), character };
  }

  private casesInClass(character: string): string {
    return (this.ignoreCase ? casesOf(character) : [character]).map(escapeLiteral).join('');
  }

  private range(from: string, to: string): string {
    const letters = /^(?:[a-z]{2}|[A-Z]{2})$/.test(from + to);
    if (!this.ignoreCase || (!letters && !/\p{L}/u.test(from + to)))
      return `${escapeLiteral(from)}-${escapeLiteral(to)}`;
    if (!letters) refuse('a range of letters that ignores case', this.pattern);
    const [low, high] = [from.toLowerCase(), to.toLowerCase()];
    const folded = Object.entries(foldsTo).filter(([letter]) => letter >= low && letter <= high);
    return `${low}-${high}${low.toUpperCase()}-${high.toUpperCase()}${folded.map(([, one]) => one).join('')}`;
  }

  private escape(inClass: boolean): string {
    const letter = this.characters[this.at + 1] ?? '';
    const rest = this.characters.slice(this.at).join('');
    const property = /^\\([pP])\{(\^?)([^}]*)\}/.exec(rest);
    if (property !== null) {
      this.at += property[0].length;
      return this.property((property[1] === 'P') !== (property[2] === '^'), property[3] ?? '');
    }
    const code = /^\\(?:x\{([0-9a-fA-F]+)\}|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4}))/.exec(rest);
    if (code !== null) {
      this.at += code[0].length;
      return `\\u{${code[1] ?? code[2] ?? code[3]}}`;
    }
    this.at += 2;
    const known = classes[letter]?.[inClass ? 1 : 0] ?? controls[letter];
    if (known !== undefined && known !== '') return known;
    if (letter === '' || /[A-Za-z0-9]/.test(letter)) refuse(`\\${letter}`, this.pattern);
    return escapeLiteral(letter);
  }

  /** A general category, a binary property, or a script. */
  private property(negated: boolean, name: string): string {
    for (const spelling of [name, `Script=${name}`]) {
      const text = `\\${negated ? 'P' : 'p'}{${spelling}}`;
      try {
        if (new RegExp(text, 'u').unicode) return text;
      } catch {
        continue;
      }
    }
    return refuse(`\\p{${name}}`, this.pattern);
  }
}
