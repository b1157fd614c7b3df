import { TroupeError, UserCodeError } from '@troupe/core';
import type { RunFailure, RunOutcome } from '@troupe/actors';
import { TopologyError } from '@troupe/topology';

/** Exit codes of every command; the last line of a run says which and why. */
export const exitCodes = {
  ok: 0,
  failed: 1,
  usage: 2,
  topology: 3,
  planDiffers: 4,
  notEnough: 5,
  temporary: 75,
  peerLost: 76,
  hungUp: 129,
  interrupted: 130,
  quit: 131,
  terminated: 143,
  outOfTime: 152,
} as const;

/** How a run ended. */
export interface RunResult {
  readonly exitCode: number;
  readonly step: number;
  readonly loss: number | null;
  /** Set unless the run ended as planned or was asked to stop. */
  readonly error: TroupeError | null;
}

/** Codes whose exit code does not follow from `retryable`. */
const codesByName: Readonly<Record<string, number>> = {
  TROUPE_TOPOLOGY_INVALID: exitCodes.topology,
  TROUPE_NOT_BUILT: exitCodes.topology,
  TROUPE_RESUME_DIFFERS: exitCodes.topology,
  TROUPE_DATA_CHANGED: exitCodes.topology,
  TROUPE_DATA_TOKENIZER_DIFFERS: exitCodes.topology,
  TROUPE_DATA_VOCAB: exitCodes.topology,
  TROUPE_DATA_CONFIG: exitCodes.topology,
  TROUPE_TOPOLOGY_DEVICES: exitCodes.notEnough,
  TROUPE_DEVICE_UNAVAILABLE: exitCodes.notEnough,
  TROUPE_DEVICE_MEMORY: exitCodes.notEnough,
  TROUPE_MACHINE_DIFFERS: exitCodes.notEnough,
  TROUPE_MACHINE_DISK: exitCodes.notEnough,
  TROUPE_MACHINE_MEMORY: exitCodes.notEnough,
  TROUPE_USAGE: exitCodes.usage,
  TROUPE_OPTION: exitCodes.usage,
  TROUPE_CALIBRATION: exitCodes.usage,
  TROUPE_SCALING_BUDGET: exitCodes.usage,
  TROUPE_SCALING_LAW: exitCodes.usage,
  TROUPE_SCALING_RUNS: exitCodes.usage,
  TROUPE_RUN_MISSING: exitCodes.usage,
  TROUPE_DRAIN: exitCodes.topology,
  TROUPE_LAUNCHER: exitCodes.usage,
  TROUPE_KEY: exitCodes.usage,
  TROUPE_DIAL_REFUSED: exitCodes.usage,
  TROUPE_LEAD_UNREACHABLE: exitCodes.peerLost,
  TROUPE_MERGE: exitCodes.usage,
  TROUPE_PRUNE: exitCodes.usage,
  TROUPE_WORKER_LOST: exitCodes.peerLost,
  TROUPE_MACHINE_LOST: exitCodes.peerLost,
  TROUPE_LEAD_LOST: exitCodes.peerLost,
  TROUPE_LEAD_REPLACED: exitCodes.peerLost,
  TROUPE_RUN_STUCK: exitCodes.peerLost,
  TROUPE_SIM_CRASH: exitCodes.peerLost,
};

/** Exit code of an error that ended a command. */
export function exitCodeOf(error: unknown): number {
  if (!(error instanceof TroupeError)) return exitCodes.failed;
  if (error instanceof TopologyError) return error.exitCode;
  return codesByName[error.code] ?? (error.retryable ? exitCodes.temporary : exitCodes.failed);
}

export function resultOf(outcome: RunOutcome): RunResult {
  const { step, loss, stopped, error } = outcome;
  if (error !== undefined) {
    const failure = new TroupeError(error.code, error.message, { retryable: error.retryable });
    return { exitCode: exitCodeOf(failure), step, loss, error: failure };
  }
  return { exitCode: stopped ? exitCodes.interrupted : exitCodes.ok, step, loss, error: null };
}

export function failureResult(error: TroupeError, step: number, loss: number | null): RunResult {
  return { exitCode: exitCodeOf(error), step, loss, error };
}

/**
 * The error of a failure that was reported by message.
 *
 * @param thrown - what the actor threw, where that was in this process
 * @param expert - name of the own expert, whose calls a device may refuse; null: the model's own runs
 */
export function failureOf(
  failure: Pick<RunFailure, 'code' | 'message' | 'retryable'>,
  thrown: { readonly error: TroupeError; readonly actor: string } | null,
  expert: string | null,
): TroupeError {
  const { code, message, retryable } = failure;
  if (thrown === null) return new TroupeError(code, message, { retryable });
  const { error, actor } = thrown;
  if (error instanceof UserCodeError) return error;
  if (expert !== null && actor.startsWith('expert/') && code.startsWith('TROUPE_KERNEL_'))
    return new UserCodeError(
      `the expert '${expert}'`,
      `made a call that its device refuses: ${error.message}`,
      error,
    );
  return new TroupeError(code, message, { retryable, details: error.details, cause: error.cause ?? error });
}
