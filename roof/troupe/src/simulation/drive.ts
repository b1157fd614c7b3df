import { TroupeError } from '@troupe/core';
import type { SimWorld } from '@troupe/sim';
import type { StepEvent } from '@troupe/telemetry';
import { leadNode } from '@troupe/topology';
import { exitCodes, type RunResult } from '../run-result.ts';

/** Microtasks within which the end of a run is known to the driver. */
const TICKS_TO_END = 16;
/** What an await of it takes is one microtask, and no promise of its own. */
const settled = Promise.resolve();
/** Turns of the event loop without an event after which a run stands still for good. */
const MOST_IDLE = 1000;

export interface Drive {
  readonly world: SimWorld;
  /** Of the run. */
  readonly result: Promise<RunResult>;
  /** Virtual time after which the run is given up, milliseconds. */
  readonly budgetMs: number;
  /** Work of the checkers that takes real time; virtual time waits for it. */
  readonly takeChecks: () => readonly Promise<void>[];
  /** True: somebody has seen enough. */
  readonly isOver: () => boolean;
  /** Time waits for it too. */
  readonly progress: () => Promise<void>;
  readonly lastStep: () => StepEvent | null;
  /** The lead is lost, and nobody begins another life of it. */
  readonly isLeaderless: () => boolean;
}

export interface Driven {
  readonly result: RunResult;
  /** The run did not end: the simulator ended it. */
  readonly isStuck: boolean;
}

/**
 * Runs events until the run ends.
 *
 * Virtual time stands still while promises of this process settle: a microtask after every event, enough of them before time moves far (so
 * that the end of a run is seen before its next heartbeat is due), and a turn of the event loop when storage was touched.
 */
export async function drive(run: Drive): Promise<Driven> {
  const { world } = run;
  const { clock } = world;
  const outcome: { result: RunResult | null } = { result: null };
  void run.result.then((result) => (outcome.result = result));
  const ended = (why: string): RunResult => {
    const { step = 0, loss = null } = run.lastStep() ?? {};
    const error = new TroupeError('TROUPE_RUN_STUCK', `${why}, after step ${step}`, { retryable: true });
    return { exitCode: exitCodes.peerLost, step, loss, error };
  };
  for (let idle = 0; ;) {
    const before = clock.numEvents;
    for (let burst = 0; burst < 256; burst++) {
      if (clock.nextMs - clock.now() > 0.5) for (let tick = 0; tick < TICKS_TO_END; tick++) await settled;
      if (outcome.result !== null || run.isLeaderless() || clock.now() > run.budgetMs || run.isOver()) break;
      if (!clock.runNext()) break;
      if (world.takeTouched()) await new Promise<void>((resolve) => setImmediate(resolve));
      else await settled;
      const checks = run.takeChecks();
      if (checks.length > 0) await Promise.all(checks);
    }
    await new Promise<void>((resolve) => setImmediate(resolve));
    await run.progress();
    if (outcome.result !== null) return { result: outcome.result, isStuck: false };
    if (run.isLeaderless()) return { result: ended(`${leadNode} was lost`), isStuck: false };
    if (run.isOver()) return { result: ended('it was stopped'), isStuck: false };
    if (clock.now() > run.budgetMs)
      return { result: ended(`nothing ended it within ${run.budgetMs} ms of virtual time`), isStuck: true };
    idle = clock.numEvents === before ? idle + 1 : 0;
    if (idle > MOST_IDLE) return { result: ended('nothing is left that could happen'), isStuck: true };
  }
}
