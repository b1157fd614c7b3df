import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Machine, RunOptions } from './machine.ts';
import { PROGRAM } from './scripts.ts';

/** Longest wait for an answer that has no other limit, milliseconds. */
const ANSWER_MS = 30_000;

/** The command, beside {@link PROGRAM}. */
const TROUPE = 'roof/troupe/bin/troupe.js';

/** What a program said, and when this process heard it, milliseconds of its monotonic clock. */
export interface Said {
  readonly atMs: number;
  readonly line: Readonly<Record<string, unknown>>;
}

/** A program on a machine that is told and says JSON, an object a line, over pipes that no cut link touches. */
export class Talk {
  readonly said: Said[] = [];
  readonly #child: ReturnType<Machine['start']>;
  readonly #waiting = new Set<() => void>();
  #stderr = '';
  #isOver = false;
  #code: number | null = null;

  /** @param program - a file of `test/machines/programs`, without its ending; or the words of a command of `troupe` */
  constructor(machine: Machine, program: string | readonly string[], options: RunOptions = {}) {
    const words =
      typeof program === 'string' ? [`test/dist/machines/programs/${program}.js`] : [TROUPE, ...program];
    const [file = '', ...args] = words;
    this.#child = machine.start([process.execPath, `${PROGRAM}/${file}`, ...args], options);
    this.#child.stdin.on('error', () => {});
    this.#child.stderr.on('data', (text: Buffer) => (this.#stderr += text.toString()));
    createInterface(this.#child.stdout).on('line', (line) => {
      this.said.push({
        atMs: performance.now(),
        line: JSON.parse(line) as Readonly<Record<string, unknown>>,
      });
      this.#wake();
    });
    this.#child.once('close', (code) => {
      this.#isOver = true;
      this.#code = code;
      this.#wake();
    });
  }

  tell(order: object): void {
    this.#child.stdin.write(`${JSON.stringify(order)}\n`);
  }

  /** The first line that has `key`, of those from `from` on; rejects when the program ends or the limit does. */
  async answer(key: string, { from = 0, limitMs = ANSWER_MS } = {}): Promise<Said> {
    const found = await this.until(({ line }) => key in line, { from, limitMs });
    if (found !== null) return found;
    throw new Error(
      `no '${key}' within ${limitMs} ms${this.#isOver ? ', the program ended' : ''}: ${this.#stderr}`,
    );
  }

  /** The first thing said that meets a condition; null when the program or the limit ends before. */
  until(
    met: (said: Said) => boolean,
    { from = 0, limitMs }: { readonly from?: number; readonly limitMs: number },
  ): Promise<Said | null> {
    return new Promise((resolve) => {
      const settle = (found: Said | null): void => {
        clearTimeout(timer);
        this.#waiting.delete(look);
        resolve(found);
      };
      const look = (): void => {
        const found = this.said.slice(from).find(met);
        if (found !== undefined || this.#isOver) settle(found ?? null);
      };
      const timer = setTimeout(() => settle(null), limitMs);
      this.#waiting.add(look);
      look();
    });
  }

  /** Its exit code; rejects when it has not ended by the limit. */
  async ended(limitMs: number): Promise<number | null> {
    await this.until(() => false, { limitMs });
    if (this.#isOver) return this.#code;
    throw new Error(`it did not end within ${limitMs} ms: ${JSON.stringify(this.said.at(-1))}`);
  }

  /** What it has said on standard error. */
  get stderr(): string {
    return this.#stderr;
  }

  end(): void {
    this.#child.stdin.end();
    this.#child.kill('SIGKILL');
  }

  #wake(): void {
    for (const look of this.#waiting) look();
  }
}

/** A program of this repository that runs on the host. */
export const hostProgram = (name: string): string =>
  fileURLToPath(new URL(`../programs/${name}.js`, import.meta.url));
