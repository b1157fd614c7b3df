/** Lines that are kept, and characters of each: they go into one sentence. */
const LINES = 20;
const COLUMNS = 400;

/** The last lines that a process has printed, for the sentence that says how it ended. */
export class LastWords {
  readonly #lines: string[] = [];

  add(line: string): void {
    if (line.trim() === '') return;
    this.#lines.push(line.slice(0, COLUMNS));
    if (this.#lines.length > LINES) this.#lines.shift();
  }

  /** How it ended, and behind it what it printed last. */
  after(how: string): string {
    return this.#lines.length === 0 ? how : `${how}: ${this.#lines.join(' | ')}`;
  }
}
