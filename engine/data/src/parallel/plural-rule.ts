/** Which of a catalogue's plural forms a count takes. */
export type PluralRule = (count: number) => number;

/** English and its like; catalogues without a rule are read by it. */
const germanic: PluralRule = (count) => (count === 1 ? 0 : 1);

/** Binary operators of C by how tightly they bind, loosest first. */
const levels: readonly Readonly<Record<string, (a: number, b: number) => number>>[] = [
  { '||': (a, b) => Number(a !== 0 || b !== 0) },
  { '&&': (a, b) => Number(a !== 0 && b !== 0) },
  { '==': (a, b) => Number(a === b), '!=': (a, b) => Number(a !== b) },
  {
    '<': (a, b) => Number(a < b),
    '>': (a, b) => Number(a > b),
    '<=': (a, b) => Number(a <= b),
    '>=': (a, b) => Number(a >= b),
  },
  { '+': (a, b) => a + b, '-': (a, b) => a - b },
  { '*': (a, b) => a * b, '/': (a, b) => Math.trunc(a / b), '%': (a, b) => a % b },
];

/**
 * Reads the `plural=…` expression of a gettext header, a C expression of `n`.
 *
 * @returns null when it is no such expression
 * @see GNU gettext manual, "Additional functions for plural forms"
 */
export function parsePluralRule(expression: string): PluralRule | null {
  const words = expression.match(/\d+|n|[=!<>]=|&&|\|\||[-+*/%<>!?:()]|\S/g) ?? [];
  let at = 0;
  const takes = (word: string): boolean => words[at] === word && ++at > 0;

  function choice(): PluralRule | null {
    const condition = binary(0);
    if (condition === null || !takes('?')) return condition;
    const yes = choice();
    if (yes === null || !takes(':')) return null;
    const no = choice();
    return no && ((n) => (condition(n) === 0 ? no(n) : yes(n)));
  }
  function binary(level: number): PluralRule | null {
    const operators = levels[level];
    if (operators === undefined) return unary();
    let left = binary(level + 1);
    for (let word = words[at]; left !== null && word !== undefined; word = words[at]) {
      const operator = Object.hasOwn(operators, word) ? operators[word] : undefined;
      if (operator === undefined) break;
      at++;
      const [a, b] = [left, binary(level + 1)];
      left = b && ((n) => operator(a(n), b(n)));
    }
    return left;
  }
  function unary(): PluralRule | null {
    if (takes('!')) {
      const inner = unary();
      return inner && ((n) => Number(inner(n) === 0));
    }
    if (takes('(')) {
      const inner = choice();
      return takes(')') ? inner : null;
    }
    if (takes('n')) return (n) => n;
    const number = words[at++];
    return number !== undefined && /^\d+$/.test(number) ? () => Number(number) : null;
  }

  const rule = choice();
  return at === words.length ? rule : null;
}

/** The rule of a catalogue's header, `Plural-Forms: nplurals=2; plural=(n != 1);`. */
export function pluralRuleOf(header: string): PluralRule {
  const expression = /^Plural-Forms:.*?\bplural\s*=\s*([^;\n]*)/im.exec(header)?.[1];
  return (expression === undefined ? null : parsePluralRule(expression)) ?? germanic;
}
