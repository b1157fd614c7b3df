import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import type { KeptResults } from './capacity.ts';

/** Results in a file: what an interrupted bench of the same build goes on with. */
export function keptResults(path: string): KeptResults {
  const all = new Map<string, unknown>(
    existsSync(path)
      ? Object.entries(JSON.parse(readFileSync(path, 'utf8')) as Readonly<Record<string, unknown>>)
      : [],
  );
  return {
    get: (key) => all.get(key),
    put: (key, result) => {
      all.set(key, result);
      writeFileSync(path, `${JSON.stringify(Object.fromEntries(all), null, 2)}\n`);
    },
  };
}
