import { mkdirSync } from 'node:fs';
import { exitCodes, fileStorage, systemClock, type StopReason } from 'troupe/launch';
import { Ended } from '../errors.ts';
import { exitLine } from '../exit-line.ts';
import { print, printError, printJson } from '../output.ts';
import { ignoresHangup } from '../run/ignores-hangup.ts';
import { StopSignals, type Stoppable } from '../run/stop-signals.ts';
import type { CommonOptions } from '../verb.ts';
import { dryRun } from './dry-run.ts';
import { measureDone } from './pace.ts';
import { openSweep, type OnlyFlag, type OpenedCell, type OpenedSweep } from './opened-sweep.ts';
import { isFailed } from './sweep-row.ts';
import { SweepReport } from './sweep-report.ts';
import { CellTraining } from './train-cell.ts';

export interface SweepFlags extends CommonOptions {
  readonly dryRun?: boolean;
  readonly measure?: boolean;
  readonly pace?: boolean;
  readonly only: readonly OnlyFlag[];
}

/** What SIGTERM grants the jobs and, a little longer, the sweep. */
const GRACE_MS = 25_000;

/** Trains the cells that have no row yet, `jobs` at a time. */
class RunningSweep implements Stoppable {
  readonly #opened: OpenedSweep;
  readonly #report: SweepReport;
  readonly #left: OpenedCell[];
  readonly #running = new Set<CellTraining>();
  #stopped: StopReason | null = null;
  #numFailed = 0;

  constructor(opened: OpenedSweep, report: SweepReport) {
    this.#opened = opened;
    this.#report = report;
    this.#left = opened.cells.filter(({ before }) => before !== 'done');
  }

  stop(reason: StopReason): void {
    this.#stopped ??= reason;
    for (const training of this.#running) training.stop();
  }

  abort(): Promise<void> {
    for (const training of this.#running) training.kill();
    return Promise.resolve();
  }

  /** @returns the exit code */
  async run(): Promise<number> {
    const workers = Array.from({ length: this.#opened.sweep.jobs }, () => this.#work());
    // One that breaks ends the others: nothing may run on behind an error.
    const ended = await Promise.allSettled(
      workers.map((worker) => worker.catch((error: unknown) => this.#broke(error))),
    );
    const broken = ended.find((each) => each.status === 'rejected');
    if (broken !== undefined) throw broken.reason;
    if (this.#stopped !== null) return exitCodes[this.#stopped];
    return this.#numFailed > 0 ? exitCodes.failed : exitCodes.ok;
  }

  /** For the last line. */
  get counts(): { readonly done: number; readonly failed: number; readonly left: number } {
    const { cells } = this.#opened;
    const left = this.#left.length;
    return { done: cells.length - left - this.#numFailed, failed: this.#numFailed, left };
  }

  #broke(error: unknown): never {
    this.stop('interrupted');
    throw error;
  }

  async #work(): Promise<void> {
    for (;;) {
      if (this.#stopped !== null) return;
      const opened = this.#left.shift();
      if (opened === undefined) return;
      if (!(await this.#train(opened))) this.#left.unshift(opened);
    }
  }

  /** @returns whether there is a row of it now */
  async #train(opened: OpenedCell): Promise<boolean> {
    const { rows, estimate, sweep } = this.#opened;
    this.#report.started(opened);
    const training = new CellTraining(
      opened,
      (event) => this.#report.heard(opened, event, this.#secondsLeft()),
      (text) => this.#report.notice(text),
    );
    this.#running.add(training);
    const row = await training.run().finally(() => this.#running.delete(training));
    if (row === null) return false;
    rows.put(row);
    if (isFailed(row)) this.#numFailed++;
    else {
      estimate.add(opened.cell, row.tokensPerSecond);
      if (!sweep.keepCheckpoints) opened.folder.removeCheckpoints();
    }
    this.#report.ended(opened, row);
    return true;
  }

  /** Of cells that have not begun; null: unknown. */
  #secondsLeft(): number | null {
    const seconds = this.#left.map(({ cell }) => this.#opened.estimate.secondsOf(cell));
    if (seconds.includes(null)) return null;
    return seconds.reduce<number>((sum, each) => sum + (each ?? 0), 0) / this.#opened.sweep.jobs;
  }
}

/** Trains a grid, and prints how it goes. */
export async function sweep(file: string, flags: SweepFlags): Promise<void> {
  const opened = await openSweep(file, flags.only);
  if (flags.dryRun === true) {
    await dryRun(file, opened, flags);
    return;
  }
  mkdirSync(opened.folder, { recursive: true });
  const lock = await fileStorage(opened.folder).lock('', () => process.exit(exitCodes.temporary));
  const isJson = flags.json === true;
  if (flags.pace === true) {
    try {
      if (!(await measureDone(opened, isJson))) throw new Ended(exitCodes.failed);
    } finally {
      await lock.release();
    }
    return;
  }
  const report = new SweepReport(opened, isJson);
  const running = new RunningSweep(opened, report);
  const signals = new StopSignals({
    clock: systemClock(),
    graceMs: GRACE_MS,
    notice: (text) => {
      report.close();
      printError(text);
    },
    ignoresHangup: ignoresHangup(),
    exit: (reason) => process.exit(exitCodes[reason]),
    ending: 'trainings write their checkpoints',
  });
  try {
    report.begin(file);
    opened.rows.mend();
    signals.attach(running);
    const exitCode = await running.run();
    report.close();
    const { done, failed, left } = running.counts;
    if (isJson) printJson({ event: 'done', done, failed, left, out: opened.rows.path, exitCode });
    const why = `${done} of ${opened.cells.length} cells are done${failed === 0 ? '' : `, ${failed} failed`}${left === 0 ? '' : `, ${left} are left`}; ${exitCode === 0 ? `next: npx troupe scaling fit ${opened.rows.path}` : `the same command goes on: npx troupe sweep ${file}`}`;
    if (!isJson && exitCode === 0) print(exitLine(exitCode, why));
    if (!isJson && exitCode !== 0) printError(exitLine(exitCode, why));
    if (exitCode !== 0) throw new Ended(exitCode);
  } finally {
    signals.close();
    await lock.release();
  }
}
