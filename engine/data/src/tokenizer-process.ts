import { fork, type ChildProcess } from 'node:child_process';
import type { TokenizerAnswer, TokenizerOrder } from './tokenizer-order.ts';

/** What is kept of the last words of a process. */
const LAST_WORDS = 4096;

/** The tokenizer's process ended before it answered; the message says why. */
export class TokenizerProcessEnd extends Error {
  override readonly name = 'TokenizerProcessEnd';
}

interface Waiting {
  readonly resolve: (answer: TokenizerAnswer) => void;
  readonly reject: (error: TokenizerProcessEnd) => void;
}

/**
 * A process of its own with the native library. It is started with the first order, ends with the process that asked, and never keeps
 * that one alive: it counts only while an answer is due.
 */
export class TokenizerProcess {
  private readonly child: ChildProcess;
  private lastWords = '';
  private ended: string | undefined;
  private waiting: Waiting | undefined;
  private last: Promise<unknown> = Promise.resolve();

  constructor() {
    this.child = fork(new URL('./tokenizer-main.js', import.meta.url), [], {
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      execArgv: [],
    });
    this.child.stderr?.on('data', (words: Buffer) => {
      this.lastWords = (this.lastWords + words.toString()).slice(-LAST_WORDS);
    });
    this.child.on('message', (answer) => this.waiting?.resolve(answer as TokenizerAnswer));
    this.child.on('error', (error) => this.end(error.message));
    this.child.on('close', (code, signal) =>
      this.end(reasonOf(this.lastWords, signal ?? `exit code ${code}`)),
    );
    this.count(false);
  }

  /** False once the process ended: it takes no more orders. */
  get alive(): boolean {
    return this.ended === undefined;
  }

  /** undefined when it could not be started. */
  get pid(): number | undefined {
    return this.child.pid;
  }

  /** One order after the other. @throws {TokenizerProcessEnd} */
  ask(order: TokenizerOrder): Promise<TokenizerAnswer> {
    const answer = this.last.then(() => this.answerTo(order));
    this.last = answer.catch(() => undefined);
    return answer;
  }

  /** Ends the process; orders that wait fail. */
  close(): void {
    this.child.kill('SIGKILL');
  }

  private async answerTo(order: TokenizerOrder): Promise<TokenizerAnswer> {
    if (this.ended !== undefined) throw new TokenizerProcessEnd(this.ended);
    this.count(true);
    try {
      return await new Promise<TokenizerAnswer>((resolve, reject) => {
        this.waiting = { resolve, reject };
        // A process that is about to end cannot be written to; its end settles the promise.
        this.child.send(order, () => undefined);
      });
    } finally {
      this.waiting = undefined;
      this.count(false);
    }
  }

  private end(reason: string): void {
    this.ended ??= reason;
    this.waiting?.reject(new TokenizerProcessEnd(this.ended));
  }

  /** Whether this process has a reason to stay: an answer is due. */
  private count(due: boolean): void {
    const { child } = this;
    // The pipe is a socket, which @types/node does not say.
    for (const each of [child, child.channel, child.stderr as unknown as ChildProcess | null])
      if (due) each?.ref();
      else each?.unref();
  }
}

/** The line that says why: of the watchdog, or of Rust's panic, whose message follows the place. */
function reasonOf(lastWords: string, end: string): string {
  const lines = lastWords
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  const panic = lines.findIndex((line) => line.includes('panicked at'));
  const reason =
    lines.findLast((line) => /^it (?:took|needed)/u.test(line)) ?? (panic < 0 ? undefined : lines[panic + 1]);
  return reason === undefined ? `its library ended with ${end}` : reason.slice(0, 200);
}
