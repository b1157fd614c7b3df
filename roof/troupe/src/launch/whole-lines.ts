/** A longer line is broken: it is data, not a sentence. */
const LINE_MAX = 8192;

/** Takes what a process prints, wherever it was cut, and gives it on line by line. */
export class WholeLines {
  readonly #line: (line: string) => void;
  #open = '';

  constructor(line: (line: string) => void) {
    this.#line = line;
  }

  push(text: string): void {
    const lines = `${this.#open}${text}`.split('\n');
    this.#open = lines.pop() ?? '';
    for (const line of lines) this.#line(line);
    if (this.#open.length > LINE_MAX) this.flush();
  }

  /** The process is gone, or its line stands for itself. */
  flush(): void {
    const open = this.#open;
    this.#open = '';
    if (open !== '') this.#line(open);
  }
}
