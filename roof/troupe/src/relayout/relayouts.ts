import type { RelayoutEvent } from '@troupe/telemetry';
import type { ResolvedTopology } from '@troupe/topology';
import type { TroupeError } from '@troupe/core';
import { RelayoutBusyError, RunEndedError } from '../errors.ts';
import { exitCodes, type RunResult } from '../run-result.ts';
import type { RelayoutList } from './relayout-list.ts';
import {
  layoutWords,
  type RelayoutOutcome,
  type RelayoutProblem,
  type RelayoutReason,
  type RelayoutRecord,
} from './relayout.ts';

/** Where a run may go on whose layout has failed for good; null: its failure is the run's end. */
export type AfterFailure = (failed: {
  readonly topology: ResolvedTopology;
  readonly error: TroupeError;
  /** The last step that was reported. */
  readonly step: number;
}) => { readonly next: ResolvedTopology; readonly why: RelayoutReason } | null;

export interface RelayoutPorts {
  /** Null: nothing of this run is written. */
  readonly list: RelayoutList | null;
  /** Monotonic. */
  readonly nowMs: () => number;
  readonly report: (event: RelayoutEvent) => void;
  /** Finishes the open step, writes a checkpoint and ends the present layout with the exit code of an interruption. */
  readonly save: () => void;
  readonly afterFailure: AfterFailure;
}

/**
 * The relayout that is under way.
 *
 * recording → saving → trying (the new layout) → ended, or trying → returning (the old one again) → ended
 */
interface Open {
  readonly why: RelayoutReason;
  readonly from: ResolvedTopology;
  readonly next: ResolvedTopology;
  readonly outcome: Promise<RelayoutOutcome>;
  readonly settle: (outcome: RelayoutOutcome) => void;
  phase: 'recording' | 'saving' | 'trying' | 'returning';
  isToldToSave: boolean;
  step: number;
  /** When the layout before had committed its last step. */
  pausedMs: number;
  pauseMs: number | null;
  problem: RelayoutProblem | null;
}

/**
 * The layouts of a run, one after another: which comes next, and why.
 *
 * RLY-1: one relayout at a time, each with an id; an id that was done before is answered with what came of it, and not done again.
 * RLY-2: it lasts on the disk of the run, with who asked, before anything is done for it.
 * RLY-3: a layout ends with its state durable, and the next one begins with that state: nothing is freed before.
 * RLY-4: a new layout that fails before its first step is recorded gives way to the old one, from the same state; after that step it goes forward.
 * RLY-5: an end that was asked for is an end, whatever is under way.
 */
export class Relayouts {
  readonly #ports: RelayoutPorts;
  #present: ResolvedTopology;
  #open: Open | null = null;
  /** The present layout has recorded a step. */
  #isProven = false;
  #isOver = false;
  #steppedMs: number;
  #step = 0;

  constructor(first: ResolvedTopology, ports: RelayoutPorts) {
    this.#present = first;
    this.#ports = ports;
    this.#steppedMs = ports.nowMs();
  }

  /** The layout that the run is in. */
  get present(): ResolvedTopology {
    return this.#present;
  }

  /** Those of this run folder, the newest last. */
  get all(): readonly RelayoutRecord[] {
    return this.#ports.list?.all ?? [];
  }

  /**
   * Asks for another layout, which the caller has found to be one of the same run.
   *
   * @param recorded - called when it lasts on the disk
   * @throws {RelayoutBusyError} TROUPE_RELAYOUT_BUSY · {@link RunEndedError} TROUPE_RUN_ENDED
   */
  ask(
    next: ResolvedTopology,
    why: RelayoutReason,
    recorded: () => void = () => {},
  ): Promise<RelayoutOutcome> {
    const open = this.#open;
    if (open?.why.id === why.id) return open.outcome;
    const known = this.#ports.list?.find(why.id) ?? null;
    if (known !== null && known.state !== 'open') return Promise.resolve(outcomeOf(known, known.state));
    if (open !== null) throw new RelayoutBusyError(open.why.what, open.why.id);
    if (this.#isOver) throw new RunEndedError(`${why.what} came too late`);
    const begun = this.#begin(next, why, 'recording');
    void this.#record(begun, recorded);
    return begun.outcome;
  }

  /** The present layout opens its first step. */
  opened(): void {
    const open = this.#open;
    if (open === null || open.phase === 'recording' || open.phase === 'saving') return;
    open.pauseMs = this.#ports.nowMs() - open.pausedMs;
  }

  /** The present layout has recorded a step. */
  stepped(step: number): void {
    this.#steppedMs = this.#ports.nowMs();
    this.#step = Math.max(this.#step, step);
    const open = this.#open;
    this.#isProven = true;
    if (open?.phase === 'trying') this.#end(open, 'done');
    else if (open?.phase === 'returning') this.#end(open, 'returned');
    else this.#save();
  }

  /**
   * The present layout has ended, and nothing of its processes is left.
   *
   * @param isAsked - the run is to end
   * @returns the layout that comes next; null: this is the end of the run
   */
  after(result: RunResult, isAsked: boolean): ResolvedTopology | null {
    const next = isAsked ? null : this.#nextOf(result);
    if (next === null) {
      this.#isOver = true;
      if (this.#open !== null) this.#end(this.#open, 'dropped', problemOf(result));
      return null;
    }
    this.#present = next;
    this.#isProven = false;
    return next;
  }

  #nextOf(result: RunResult): ResolvedTopology | null {
    const { error, exitCode } = result;
    const open = this.#open;
    if (open?.phase === 'saving' && error === null && exitCode === exitCodes.interrupted) {
      Object.assign(open, { phase: 'trying', step: result.step, pausedMs: this.#steppedMs });
      return open.next;
    }
    // What was lost for good is not gone back to.
    if (open?.phase === 'trying' && error !== null && open.why.kind !== 'loss') {
      Object.assign(open, { phase: 'returning', pauseMs: null, problem: problemOf(result) });
      return open.from;
    }
    return error === null ? null : this.#afterFailure(error);
  }

  #afterFailure(error: TroupeError): ResolvedTopology | null {
    const found = this.#ports.afterFailure({ topology: this.#present, error, step: this.#step });
    if (found === null) return null;
    // What was asked for meanwhile was asked of a layout that is no more.
    if (this.#open !== null) this.#end(this.#open, 'dropped', { code: error.code, message: error.message });
    const open = this.#begin(found.next, found.why, 'trying');
    this.#report(open, 'open');
    void this.#note(open, 'open');
    return found.next;
  }

  #begin(next: ResolvedTopology, why: RelayoutReason, phase: Open['phase']): Open {
    let settle: Open['settle'] = () => {};
    const outcome = new Promise<RelayoutOutcome>((resolve) => (settle = resolve));
    const [step, pausedMs] = [this.#step, this.#steppedMs];
    const given = { why, from: this.#present, next, outcome, settle, phase, step, pausedMs };
    this.#open = { ...given, isToldToSave: false, pauseMs: null, problem: null };
    return this.#open;
  }

  /** RLY-2. */
  async #record(open: Open, recorded: () => void): Promise<void> {
    try {
      await this.#put(open, 'open');
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      if (this.#open === open) this.#end(open, 'dropped', { code: 'TROUPE_RELAYOUT_UNRECORDED', message });
      return;
    }
    if (this.#open !== open) return;
    recorded();
    open.phase = 'saving';
    this.#report(open, 'open');
    this.#save();
  }

  /** A layout that has not recorded a step has nothing to save, and may be no layout to go back to. */
  #save(): void {
    const open = this.#open;
    if (open?.phase !== 'saving' || open.isToldToSave || !this.#isProven) return;
    open.isToldToSave = true;
    this.#ports.save();
  }

  #end(open: Open, state: RelayoutOutcome['state'], problem = open.problem): void {
    open.problem = problem;
    this.#open = null;
    this.#report(open, state);
    void this.#settle(open, state);
  }

  async #settle(open: Open, state: RelayoutOutcome['state']): Promise<void> {
    await this.#note(open, state);
    open.settle(outcomeOf(this.#recordOf(open, state), state));
  }

  /** The run goes on whether that is written or not: until it is, the file says that the relayout is open. */
  async #note(open: Open, state: RelayoutRecord['state']): Promise<void> {
    try {
      await this.#put(open, state);
    } catch {
      // The next one that is written brings it along.
    }
  }

  #put(open: Open, state: RelayoutRecord['state']): Promise<void> {
    return this.#ports.list?.put(this.#recordOf(open, state)) ?? Promise.resolve();
  }

  #recordOf(open: Open, state: RelayoutRecord['state']): RelayoutRecord {
    const { why, step, pauseMs, problem } = open;
    return {
      ...why,
      state,
      step,
      pauseMs,
      problem,
      from: layoutWords(open.from),
      to: layoutWords(open.next),
    };
  }

  #report(open: Open, state: RelayoutRecord['state']): void {
    this.#ports.report({ event: 'relayout', ...this.#recordOf(open, state) });
  }
}

const problemOf = ({ error }: RunResult): RelayoutProblem | null =>
  error === null ? null : { code: error.code, message: error.message };

const outcomeOf = (
  { id, step, pauseMs, problem }: RelayoutRecord,
  state: RelayoutOutcome['state'],
): RelayoutOutcome => ({ id, state, step, pauseMs, problem });
