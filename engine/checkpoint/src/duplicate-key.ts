/**
 * Finds a key that occurs twice in one object of a JSON text.
 *
 * `JSON.parse` keeps the last of two equal keys without a word, which would hide a duplicate tensor.
 *
 * @param json - a text that `JSON.parse` accepts
 * @returns the first repeated key, or null
 */
export function duplicateKey(json: string): string | null {
  const scopes: (Set<string> | null)[] = [];
  const token = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],:]/gu;
  let lastString: string | null = null;
  for (const [text] of json.matchAll(token)) {
    if (text === '{') scopes.push(new Set());
    else if (text === '[') scopes.push(null);
    else if (text === '}' || text === ']') scopes.pop();
    else if (text === ':' && lastString !== null) {
      const key = JSON.parse(lastString) as string;
      const keys = scopes.at(-1);
      if (keys?.has(key) === true) return key;
      keys?.add(key);
    }
    lastString = text.startsWith('"') ? text : null;
  }
  return null;
}
