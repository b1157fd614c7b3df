/** Plain values that keep every bit: JSON, and beside it NaN, infinities and a zero with its sign. */
export type Exact =
  number | string | boolean | null | readonly Exact[] | { readonly [key: string]: Exact | undefined };

const view = new DataView(new ArrayBuffer(8));

/** The bits of a float64, 16 hexadecimal digits, the sign first. */
export function bitsOf(value: number): string {
  view.setFloat64(0, value);
  return view.getBigUint64(0).toString(16).padStart(16, '0');
}

/** The float64 of these bits; null when they are none. */
export function floatOf(bits: unknown): number | null {
  if (typeof bits !== 'string' || !/^[0-9a-f]{16}$/u.test(bits)) return null;
  view.setBigUint64(0, BigInt(`0x${bits}`));
  return view.getFloat64(0);
}

/** Words of exact sums, 16 digits each. */
export const wordsOf = (sums: BigInt64Array): string =>
  Array.from(sums, (word) => BigInt.asUintN(64, word).toString(16).padStart(16, '0')).join('');

/** The inverse of {@link wordsOf}; null when the text is none. */
export function sumsOf(words: unknown): BigInt64Array | null {
  if (typeof words !== 'string' || !/^(?:[0-9a-f]{16})*$/u.test(words)) return null;
  return BigInt64Array.from(words.match(/.{16}/gu) ?? [], (word) => BigInt.asIntN(64, BigInt(`0x${word}`)));
}

/** A number that JSON writes and reads without a change, and that people can read. */
const isPlain = (value: number): boolean => Number.isSafeInteger(value) && !Object.is(value, -0);

/** A value as JSON: whole numbers as they are, others as `x` and their bits, texts behind an `s`. */
export function toJson(value: Exact): unknown {
  if (typeof value === 'number') return isPlain(value) ? value : `x${bitsOf(value)}`;
  if (typeof value === 'string') return `s${value}`;
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(toJson);
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, each]) => (each === undefined ? [] : [[key, toJson(each)]])),
  );
}

/** The inverse of {@link toJson}; undefined when something in it is none. */
export function fromJson(json: unknown): Exact | undefined {
  if (typeof json === 'boolean' || json === null) return json;
  if (typeof json === 'number') return isPlain(json) ? json : undefined;
  if (typeof json === 'string')
    return json.startsWith('s')
      ? json.slice(1)
      : ((json.startsWith('x') ? floatOf(json.slice(1)) : null) ?? undefined);
  if (Array.isArray(json)) {
    const values = json.map(fromJson);
    return values.includes(undefined) ? undefined : (values as Exact[]);
  }
  if (typeof json !== 'object') return undefined;
  const entries = Object.entries(json).map(([key, each]) => [key, fromJson(each)] as const);
  return entries.some(([, each]) => each === undefined) ? undefined : Object.fromEntries(entries);
}
