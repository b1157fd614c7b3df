import type { DataStatistics } from '@troupe/data';
import type { ResolvedTopology } from '@troupe/topology';
import { checkpointMustFit, firstOf } from '../first-state.ts';
import { jobOf, type RunChoices } from '../job.ts';
import { mustFit } from '../machine-memory.ts';
import { checkTopology } from '../option-rules.ts';
import { openLogger } from '../ports/open-logger.ts';
import { RelayoutList } from '../relayout/relayout-list.ts';
import type { RelayoutOutcome, RelayoutReason, RelayoutRecord } from '../relayout/relayout.ts';
import { lockOf } from '../run-lock.ts';
import type { RunResult } from '../run-result.ts';
import { openRunMetrics } from '../run/run-metrics.ts';
import type { RunLook } from '../run/run-view.ts';
import type { StopReason } from '../run/run.ts';
import { checkLaunchOptions, type LaunchOptions } from './launch-options.ts';
import { LaunchedRun } from './launched-run.ts';
import type { Sent } from './launched-processes.ts';

export type { StopReason } from '../run/run.ts';
export type { RelayoutOutcome, RelayoutReason, RelayoutRecord } from '../relayout/relayout.ts';

/** A run on worker processes. */
export interface Launch {
  /** Never rejects; when it ends no process of the run is left. */
  readonly result: Promise<RunResult>;
  /** Finishes the open step, writes a checkpoint, ends with the exit code of the reason (130 for `interrupted`). */
  stop(reason: StopReason): void;
  /** Ends now, without a checkpoint. */
  abort(): Promise<void>;
  /** Each on its machine; -1 where none is known. */
  readonly workerPids: readonly number[];
  /**
   * With `purpose: 'generate'`: logits of the token behind `context`, [V]; one question at a time.
   *
   * @throws {TroupeError} what ended the run
   */
  logits(context: readonly number[]): Promise<Float32Array>;
  /**
   * The same of several contexts in one pass, [N, V]: at most as many as a microbatch has sequences, or one where experts choose.
   *
   * @param sources - what an encoder reads for each; of a model that has one
   */
  logitsOf(
    contexts: readonly (readonly number[])[],
    sources?: readonly (readonly number[])[],
  ): Promise<Float32Array>;
  /**
   * Goes on in another layout, with the same numbers: the run saves, its processes end, and those of the new layout go on from there. A
   * layout that does not come to its first step gives way to the one before.
   *
   * @param next - the same run: what decides its numbers is equal
   * @param begun - called when it lasts in the run folder that it was asked for
   * @throws {TroupeError} TROUPE_RESUME_DIFFERS, TROUPE_NOT_BUILT, TROUPE_MACHINE_MEMORY · {RelayoutBusyError} TROUPE_RELAYOUT_BUSY, of
   * another one · {RunEndedError} TROUPE_RUN_ENDED; nothing was done then
   */
  relayout(next: ResolvedTopology, why: RelayoutReason, begun?: () => void): Promise<RelayoutOutcome>;
  /** The topology that it would go on with: the same, with the data that it has opened. @throws {TroupeError} as {@link relayout} */
  checkedRelayout(next: ResolvedTopology): ResolvedTopology;
  /** The layout that it is in. */
  readonly topology: ResolvedTopology;
  /** Relayouts of its folder, the newest last. */
  readonly relayouts: readonly RelayoutRecord[];
  /** What all processes have put on the wire. */
  sent(): Sent;
  /** What its workers and actors do now, by their heartbeats; null before they start. */
  look(): RunLook | null;
  /** Sizes of the data, and what simple models reach on them; counts all tokens when called. */
  statistics(): DataStatistics;
  /** What is odd about the data although they can be used: one sentence each. */
  dataWarnings(): readonly string[];
}

/**
 * Runs one worker process a device. The lead (trainer and supervisor) and the store are in this process; agents too where all is on this
 * machine, and otherwise each on its own, where a launcher starts it.
 *
 * @throws {OptionError} TROUPE_OPTION with every option that is not what it has to be
 * @throws {TroupeError} what is wrong with the topology or its data, before anything is forked
 */
export async function launch(topology: ResolvedTopology, options: LaunchOptions): Promise<Launch> {
  checkTopology('launch', topology);
  checkLaunchOptions(options);
  const first = firstOf(options, topology);
  const { purpose = 'train' } = options;
  const trains = purpose === 'train';
  const choices: RunChoices = {
    purpose,
    stopAfter: trains
      ? Math.min(options.stopAfter ?? topology.train.steps, topology.train.steps)
      : first.step,
    // What makes no step has no use for moments, and an imported model has none.
    first: trains ? first : { ...first, from: 'weights' },
    evaluationSequences: 0,
    checkpoints: options.checkpoints !== null,
  };
  // Refuses what is not built, or what does not fit, before a process exists.
  const { resumeFrom } = options;
  const given = !trains && resumeFrom !== undefined ? { weightsFrom: resumeFrom } : options;
  checkpointMustFit(jobOf(topology, choices), given);
  // Of other machines it is the devices that know what they have room for.
  if (topology.launcher === null) mustFit(topology, 'launch');
  let run: LaunchedRun | null = null;
  const lock = await lockOf(options.checkpoints, () => void run?.abort());
  try {
    const logger = await openLogger(options.logLevel);
    const metrics = await openRunMetrics(topology, options.metrics);
    const { checkpoints } = options;
    const list =
      trains && checkpoints !== null
        ? await RelayoutList.open(checkpoints.storage, checkpoints.folder)
        : null;
    run = new LaunchedRun(topology, options, { logger, lock, metrics, list });
    await run.start(choices);
    return run;
  } catch (error) {
    await run?.abort();
    await lock?.release();
    throw error;
  }
}
