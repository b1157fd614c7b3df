import { existsSync, readFileSync } from 'node:fs';
import { UsageError } from '../errors.ts';
import { codeOf, OutputFile } from '../output-file.ts';
import { cellOfRow, shownLine, type AnyRow } from './sweep-row.ts';

/**
 * The file of rows of a sweep: a JSON object a line.
 *
 * ROW-1: a line appears whole or not at all: the file is written aside and renamed, so that whoever reads it while a sweep goes on sees whole
 * lines. A last line that is cut off (something else appended to it, or a disk lost its end) is left out and written anew. ROW-2: lines that
 * a sweep did not write stay as they are, where they are.
 */
export class RowsFile {
  readonly #output: OutputFile;
  readonly #lines: string[];
  /** The beginning of a last line that was cut off; null: there was none. */
  readonly torn: string | null;

  private constructor(output: OutputFile, lines: readonly string[], torn: string | null) {
    this.#output = output;
    this.#lines = [...lines];
    this.torn = torn;
  }

  /** @throws {UsageError} TROUPE_USAGE: it cannot be read or written, or a line before the last is not JSON */
  static open(path: string): RowsFile {
    const output = new OutputFile('out', path);
    const [lines, torn] = readLines(path);
    return new RowsFile(output, lines, torn);
  }

  get path(): string {
    return this.#output.path;
  }

  /** Rows of sweeps, in the order of the file. */
  get rows(): readonly AnyRow[] {
    return this.#lines.flatMap((line) => {
      const value: unknown = JSON.parse(line);
      return cellOfRow(value) === null ? [] : [value as AnyRow];
    });
  }

  /** Writes a row in the place of an earlier one of the same cell. */
  put(row: AnyRow): void {
    const line = JSON.stringify(row);
    const at = this.#lines.findIndex((each) => cellOfRow(JSON.parse(each))?.name === row.name);
    if (at >= 0) this.#lines.splice(at, 1);
    this.#lines.push(line);
    this.#write();
  }

  /** Leaves out a last line that is cut off. */
  mend(): void {
    if (this.torn !== null) this.#write();
  }

  #write(): void {
    this.#output.write(this.#lines.map((line) => `${line}\n`).join(''));
  }
}

/** The lines, and the beginning of a last one that was cut off. */
function readLines(path: string): readonly [lines: readonly string[], torn: string | null] {
  if (!existsSync(path)) return [[], null];
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new UsageError(`out '${path}' cannot be read (${codeOf(error)})`);
  }
  const lines = text.split('\n');
  const found: string[] = [];
  for (const [index, line] of lines.entries()) {
    if (line.trim() === '') continue;
    if (isJson(line)) {
      found.push(line);
      continue;
    }
    if (index === lines.length - 1) return [found, shownLine(line)];
    throw new UsageError(`${path}:${index + 1}: ${shownLine(line)} is not JSON; each line is one run`);
  }
  return [found, null];
}

function isJson(line: string): boolean {
  try {
    JSON.parse(line);
    return true;
  } catch {
    return false;
  }
}
