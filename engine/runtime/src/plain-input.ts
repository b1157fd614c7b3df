import { InvariantError } from '@troupe/core';

/** Where a function lies inside a value, as a path; null: it is data through and through. */
function functionIn(value: unknown, path: string): string | null {
  if (typeof value === 'function') return path;
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return null;
  const parts =
    value instanceof Map || value instanceof Set
      ? [...value].map((each, index) => [String(index), each] as const)
      : Object.entries(value);
  for (const [key, part] of parts) {
    const found = functionIn(part, `${path}.${key}`);
    if (found !== null) return found;
  }
  return null;
}

/**
 * RUN-6: what a machine is given is data. A function in a context is a way round it: a guard that asks one sees what effects have not
 * written yet, or what is no longer so.
 *
 * @throws {InvariantError} naming the machine and the field
 */
export function assertPlainInput(machine: string, input: unknown): void {
  const found = functionIn(input, 'input');
  if (found !== null)
    throw new InvariantError(
      `the machine '${machine}': ${found} is a function; guards see data and their event, nothing else`,
    );
}
