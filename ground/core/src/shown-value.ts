/** Longest text that is shown whole. */
const MOST_CHARACTERS = 60;

/** A value that somebody passed, as a message about it says it: short, whatever it is, and never by running code of its own. */
export function shownValue(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (typeof value === 'string')
    return value.length <= MOST_CHARACTERS ? `'${value}'` : `a text of ${value.length} characters`;
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'function') return 'a function';
  if (typeof value === 'symbol') return 'a symbol';
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (value === null) return 'null';
  if (value instanceof Promise) return 'a Promise';
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (ArrayBuffer.isView(value)) {
    const name = Object.prototype.toString.call(value).slice(8, -1);
    return 'length' in value ? `${name} of ${String(value.length)}` : name;
  }
  return 'an object';
}
