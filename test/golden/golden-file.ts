import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { GoldenSet } from './golden-case.ts';

/** Lines of a case by its name. */
export type GoldenLines = ReadonlyMap<string, readonly string[]>;

// The compiled program runs from test/dist/golden.
export const goldenFolder = fileURLToPath(new URL('../../golden/', import.meta.url));

export const nameOf = ({ body, precision }: GoldenSet): string => `${body}.${precision}`;

const pathOf = (set: GoldenSet): string => `${goldenFolder}${nameOf(set)}.txt`;

/** A case is a line with its name, and its lines below it, set in. */
export function readGolden(set: GoldenSet): GoldenLines {
  const found = new Map<string, string[]>();
  let lines: string[] = [];
  for (const line of readFileSync(pathOf(set), 'utf8').split('\n')) {
    if (line.startsWith('  ')) lines.push(line.trim());
    else if (line !== '') {
      lines = [];
      found.set(line, lines);
    }
  }
  return found;
}

export function writeGolden(set: GoldenSet, golden: GoldenLines): string {
  const text = [...golden].flatMap(([name, lines]) => [name, ...lines.map((line) => `  ${line}`), '']);
  writeFileSync(pathOf(set), text.join('\n'));
  return pathOf(set);
}
