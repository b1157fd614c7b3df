/** Dotted keys and what lies below them. Asking takes as long as a key has parts, however many keys there are. */
export class KeySet {
  readonly #keys: ReadonlySet<string>;
  readonly #above = new Set<string>();

  constructor(keys: Iterable<string>) {
    this.#keys = new Set(keys);
    for (const key of this.#keys) for (const each of ancestors(key)) this.#above.add(each);
  }

  /** Whether one of the keys is `key` or stands above it. */
  covers(key: string): boolean {
    return this.#keys.has(key) || ancestors(key).some((each) => this.#keys.has(each));
  }

  /** Whether one of the keys stands below `key`. */
  isAbove(key: string): boolean {
    return this.#above.has(key);
  }
}

/** `a.b.c` → `a.b`, `a`. */
function ancestors(key: string): readonly string[] {
  const found: string[] = [];
  for (let end = key.lastIndexOf('.'); end > 0; end = key.lastIndexOf('.', end - 1))
    found.push(key.slice(0, end));
  return found;
}
