import { readFileSync } from 'node:fs';
import { readRunRow, ScalingRunsError, type RunRow } from '@troupe/scaling';
import { codeOf } from '../output-file.ts';

/**
 * The runs of a JSON Lines file; empty lines, and cells of a sweep that failed, are passed over.
 *
 * @throws {ScalingRunsError} TROUPE_SCALING_RUNS with the line that is none
 */
export function readRuns(path: string): readonly RunRow[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new ScalingRunsError(`'${path}' cannot be read (${codeOf(error)}); name a JSON Lines file of runs`);
  }
  return text.split('\n').flatMap((line, index) => {
    if (line.trim() === '') return [];
    const origin = `${path}:${index + 1}`;
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch {
      throw new ScalingRunsError(`${origin}: not JSON; each line is one run`);
    }
    // What a sweep could not train.
    if (typeof value === 'object' && value !== null && 'failed' in value) return [];
    return [readRunRow(value, origin)];
  });
}
