import { surviveClosedTerminal } from 'troupe/launch';
import type { ScreenSize } from './top-screen.ts';

const ESC = '\u001b[';
/** A page of its own, which leaves what was there as it was, without a cursor. */
const ENTER = `${ESC}?1049h${ESC}?25l`;
const LEAVE = `${ESC}?25h${ESC}?1049l`;
const HOME = `${ESC}H`;
const CLEAR_LINE = `${ESC}K`;
const CLEAR_BELOW = `${ESC}J`;

/** What ends a look: q, Q, Ctrl-C, Ctrl-D, which a raw terminal hands on. */
const quits = ['q', 'Q', '\u0003', '\u0004'];

/** The terminal as a page that is drawn again and again; it is as it was when this closes, however that happens. */
export class Screen {
  readonly quit: Promise<void>;
  hasQuit = false;
  #quit: () => void = () => {};
  #isOpen = true;
  readonly #onData = (keys: Buffer): void => {
    const typed = keys.toString();
    if (quits.some((key) => typed.includes(key))) this.#leave();
  };
  readonly #leave = (): void => {
    this.hasQuit = true;
    this.#quit();
  };

  constructor() {
    this.quit = new Promise((resolve) => (this.#quit = resolve));
    surviveClosedTerminal();
    process.stdout.write(ENTER);
    if (process.stdin.isTTY) process.stdin.setRawMode(true);
    process.stdin.on('data', this.#onData);
    process.stdin.resume();
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, this.#leave);
    process.on('exit', this.#restore);
  }

  get size(): ScreenSize {
    // A terminal that does not know its size says 0.
    return { columns: process.stdout.columns || 80, rows: process.stdout.rows || 24 };
  }

  draw(lines: readonly string[]): void {
    process.stdout.write(`${HOME}${lines.map((line) => `${line}${CLEAR_LINE}`).join('\r\n')}${CLEAR_BELOW}`);
  }

  close(): void {
    this.#restore();
    process.off('exit', this.#restore);
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.off(signal, this.#leave);
    process.stdin.off('data', this.#onData);
    process.stdin.pause();
  }

  readonly #restore = (): void => {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    if (process.stdin.isTTY) process.stdin.setRawMode(false);
    process.stdout.write(LEAVE);
  };
}
