import type { RunEvent } from '@troupe/telemetry';
import { Pace } from 'troupe/launch';
import { print, printError, printJson } from '../output.ts';
import { duration, nats } from '../run/numbers.ts';
import { figure } from '../scaling/figure.ts';
import type { OpenedCell, OpenedSweep } from './opened-sweep.ts';
import { isFailed, type AnyRow } from './sweep-row.ts';

/** Back to the start of the line, and clear it. */
const REWRITE = '\r\u001b[2K';

/** `2.93M tokens of text` */
export function describeCorpora(cells: readonly OpenedCell[]): string {
  const sizes = [...new Set(cells.map(({ corpus }) => corpus.tokens))];
  return sizes
    .map((tokens) => (tokens === null ? 'drawn tokens' : `${figure(tokens)} tokens of text`))
    .join(', ');
}

/** What a sweep tells while it goes: lines for people, or objects for programs. */
export class SweepReport {
  readonly #opened: OpenedSweep;
  readonly #isJson: boolean;
  readonly #isTerminal = process.stdout.isTTY;
  readonly #pace = new Pace(() => performance.now());
  readonly #places: ReadonlyMap<OpenedCell, number>;
  #open = false;

  constructor(opened: OpenedSweep, isJson: boolean) {
    this.#opened = opened;
    this.#isJson = isJson;
    this.#places = new Map(opened.cells.map((cell, index) => [cell, index + 1]));
  }

  begin(file: string): void {
    const { cells, rows, sweep } = this.#opened;
    const done = cells.filter(({ before }) => before === 'done').length;
    const changed = cells.filter(({ before }) => before === 'changed');
    if (this.#isJson) {
      printJson({
        event: 'sweep',
        file,
        out: rows.path,
        cells: cells.length,
        done,
        jobs: sweep.jobs,
        torn: rows.torn !== null,
      });
      return;
    }
    print(
      `${file}: ${cells.length} cells, ${done} of them done; ${describeCorpora(cells)}; rows go to ${rows.path}`,
      ...(rows.torn === null
        ? []
        : [
            `the last line of ${rows.path} is cut off (${rows.torn}): it is left out, and its cell written anew`,
          ]),
      ...changed.map(({ cell }) => `${cell.name} is not what it was when it was trained: it is trained anew`),
    );
  }

  started(opened: OpenedCell): void {
    const { cell, sizes, before, folder } = opened;
    const state = before === 'begun' && folder.hasCheckpoint ? 'resumed' : 'started';
    if (this.#isJson) {
      const { paramsActive, paramsTotal, tokens, flops } = sizes;
      printJson({
        event: 'cell',
        state,
        name: cell.name,
        ...this.#place(opened),
        paramsActive,
        paramsTotal,
        tokens,
        flops,
      });
    } else
      this.line(
        `${this.#label(opened)} ${state === 'resumed' ? 'goes on from its last checkpoint' : 'begins'}: ${figure(sizes.paramsActive)} active of ${figure(sizes.paramsTotal)} parameters, ${figure(sizes.tokens)} tokens, ${sizes.flops.toExponential(2)} FLOPs`,
      );
  }

  /** @param secondsLeft - of the sweep; null: unknown */
  heard(opened: OpenedCell, event: RunEvent, secondsLeft: number | null): void {
    if (event.event !== 'step' || !this.#pace.isDue()) return;
    const { step, loss, tokens, tokensPerSecond } = event;
    const { steps } = opened.cell.topology.train;
    const cellSeconds = ((steps - step) * tokens) / tokensPerSecond;
    if (this.#isJson)
      printJson({
        event: 'progress',
        name: opened.cell.name,
        ...this.#place(opened),
        step,
        steps,
        loss,
        tokensPerSecond,
        secondsLeft: cellSeconds,
        sweepSecondsLeft: secondsLeft,
      });
    else
      this.#rewrite(
        `${this.#label(opened)} step ${step}/${steps}  loss ${nats(loss)}  ${duration(cellSeconds)} left${secondsLeft === null ? '' : `, ${duration(secondsLeft)} for the sweep`}`,
      );
  }

  ended(opened: OpenedCell, row: AnyRow): void {
    if (isFailed(row)) {
      if (this.#isJson) printJson({ event: 'cell', state: 'failed', ...this.#place(opened), ...row });
      else this.line(`${this.#label(opened)} failed: ${row.failed}; its log is ${opened.folder.logFile}`);
      return;
    }
    if (this.#isJson) printJson({ event: 'cell', state: 'done', ...this.#place(opened), ...row });
    else
      this.line(
        `${this.#label(opened)} done: loss ${nats(row.loss)}, held-out ${nats(row.heldOutLoss)}, ${figure(row.tokensPerSecond)} tokens/s, ${duration(row.seconds)}`,
      );
  }

  /** A sentence for people, on standard error where programs read the rest. */
  notice(text: string): void {
    if (this.#isJson) printError(`troupe: ${text}`);
    else this.line(text);
  }

  line(text: string): void {
    this.close();
    print(text);
  }

  /** What is printed next has a line for itself. */
  close(): void {
    if (this.#open) process.stdout.write(REWRITE);
    this.#open = false;
  }

  #place(opened: OpenedCell): { readonly index: number; readonly of: number } {
    return { index: this.#places.get(opened) ?? 0, of: this.#opened.cells.length };
  }

  #label(opened: OpenedCell): string {
    const { index, of } = this.#place(opened);
    return `[${index}/${of}] ${opened.cell.name}`;
  }

  #rewrite(text: string): void {
    if (!this.#isTerminal) {
      print(text);
      return;
    }
    process.stdout.write(`${REWRITE}${text.slice(0, (process.stdout.columns || 80) - 1)}`);
    this.#open = true;
  }
}
