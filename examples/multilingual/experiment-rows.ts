import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';

/** A line of the file of rows: what `troupe eval` says of the model of a task. */
export interface ExperimentRow extends Readonly<Record<string, unknown>> {
  readonly name: string;
  readonly hash: string;
}

/** A file of rows that is whole at any moment: written aside, then renamed. */
export class ExperimentRows {
  readonly #path: string;
  readonly #rows: ExperimentRow[];

  /** @throws {Error} for a line that is no row */
  constructor(path: string) {
    this.#path = path;
    const lines = existsSync(path) ? readFileSync(path, 'utf8').split('\n') : [];
    this.#rows = lines.flatMap((line, index) => (line === '' ? [] : [rowOf(line, `${path}:${index + 1}`)]));
  }

  has(name: string, hash: string): boolean {
    return this.#rows.some((row) => row.name === name && row.hash === hash);
  }

  /** In the place of an earlier row of the same task. */
  put(row: ExperimentRow): void {
    const at = this.#rows.findIndex(({ name }) => name === row.name);
    if (at >= 0) this.#rows.splice(at, 1);
    this.#rows.push(row);
    const aside = `${this.#path}.${process.pid}.tmp`;
    writeFileSync(aside, this.#rows.map((each) => `${JSON.stringify(each)}\n`).join(''));
    renameSync(aside, this.#path);
  }
}

function rowOf(line: string, place: string): ExperimentRow {
  try {
    const row = JSON.parse(line) as ExperimentRow;
    if (typeof row.name === 'string' && typeof row.hash === 'string') return row;
  } catch {
    // Said below.
  }
  throw new Error(`${place} is no row of an experiment: a JSON object with name and hash; remove the line`);
}
