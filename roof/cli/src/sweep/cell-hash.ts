import { createHash } from 'node:crypto';

/** The same text for the same values, in whatever order their keys stand. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, each]) => `${JSON.stringify(key)}:${canonical(each)}`).join(',')}}`;
}

/** Tells cells apart whose numbers may differ: 16 hexadecimal digits. */
export const cellHash = (decided: object): string =>
  createHash('sha256').update(canonical(decided)).digest('hex').slice(0, 16);
