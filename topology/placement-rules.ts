/** True when an address matches a pattern; `*` stands for any part of one segment, and at the end for all that follows. */
export function matchesAddress(pattern: string, address: string): boolean {
  const wanted = pattern.split('/');
  const found = address.split('/');
  const open = wanted.at(-1) === '*';
  if (open ? found.length < wanted.length : found.length !== wanted.length) return false;
  return wanted.every((segment, index) => matchesSegment(segment, found[index] ?? ''));
}

/** Each part between stars is taken where it first occurs: no way back, so no pattern takes long. */
function matchesSegment(pattern: string, segment: string): boolean {
  const [head = '', ...parts] = pattern.split('*');
  const tail = parts.pop();
  if (tail === undefined) return segment === head;
  if (segment.length < head.length + tail.length || !segment.startsWith(head) || !segment.endsWith(tail))
    return false;
  const end = segment.length - tail.length;
  let from = head.length;
  for (const part of parts) {
    const at = segment.indexOf(part, from);
    if (at < 0 || at + part.length > end) return false;
    from = at + part.length;
  }
  return true;
}

export const isPattern = (rule: string): boolean => rule.includes('*');

/** Rules in their order: those that name one address are looked up, those with `*` are tried one by one. */
export class PlacementRules {
  readonly #literal = new Map<string, number>();
  readonly #patterns: { readonly pattern: string; readonly index: number }[] = [];

  constructor(rules: readonly string[]) {
    for (const [index, rule] of rules.entries()) {
      if (isPattern(rule)) this.#patterns.unshift({ pattern: rule, index });
      else this.#literal.set(rule, index);
    }
  }

  /** Position of the last rule that matches an address; -1: none. */
  last(address: string): number {
    const literal = this.#literal.get(address) ?? -1;
    const pattern = this.#patterns.find((each) => matchesAddress(each.pattern, address))?.index ?? -1;
    return Math.max(literal, pattern);
  }
}

/** The patterns that match none of the addresses, in their order. */
export function unmatched(patterns: readonly string[], addresses: readonly string[]): readonly string[] {
  const known = new Set(addresses);
  return patterns.filter((pattern) =>
    isPattern(pattern) ? !addresses.some((address) => matchesAddress(pattern, address)) : !known.has(pattern),
  );
}
