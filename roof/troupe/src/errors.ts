import { TroupeError, type ErrorDetails } from '@troupe/core';
import type { DeviceInfo } from '@troupe/kernel-set';
import type { Whereabouts } from './run/processes.ts';
import type { Difference, LossEnd } from '@troupe/topology';

/** A folder that holds no run, or a run without a checkpoint. */
export class RunMissingError extends TroupeError {
  override readonly name = 'RunMissingError';
  constructor(folder: string, hint: string, what: 'checkpoint' | 'run' = 'checkpoint') {
    super('TROUPE_RUN_MISSING', `'${folder}' holds no ${what}; ${hint}`, { details: { folder } });
  }
}

/** Two models that do not become one; says which rule, and what both have. */
export class MergeError extends TroupeError {
  override readonly name = 'MergeError';
  constructor(problem: string) {
    super('TROUPE_MERGE', problem);
  }
}

/** Experts that cannot be taken from a model; says which rule, and what the model has. */
export class PruneError extends TroupeError {
  override readonly name = 'PruneError';
  constructor(problem: string) {
    super('TROUPE_PRUNE', problem);
  }
}

/** Another process writes the folder of a run. */
export class RunLockedError extends TroupeError {
  override readonly name = 'RunLockedError';
  constructor(folder: string, reason: string) {
    super('TROUPE_RUN_LOCKED', `run folder '${folder}' is in use: ${reason}`, {
      retryable: true,
      details: { folder },
    });
  }
}

/** A run ended while something was asked of it. */
export class RunEndedError extends TroupeError {
  override readonly name = 'RunEndedError';
  constructor(reason: string) {
    super('TROUPE_RUN_ENDED', `the run has ended before it answered: ${reason}`);
  }
}

/** The newest checkpoint of a run, or the one asked for, is damaged; names the tensor or file, and another one to take. */
export class RunDamagedError extends TroupeError {
  override readonly name = 'RunDamagedError';
  constructor(damage: TroupeError, hint: string) {
    super(
      'TROUPE_CHECKPOINT_DAMAGED',
      `${damage.message.replace(/; resume from another one$/u, '')}; ${hint}`,
      {
        details: damage.details,
        cause: damage,
      },
    );
  }
}

const show = (value: unknown): string => (value === undefined ? '(none)' : JSON.stringify(value));

/** A resumed run may not differ from its checkpoint in what decides its numbers. */
export class ResumeDiffersError extends TroupeError {
  override readonly name = 'ResumeDiffersError';
  constructor(differences: readonly Difference[]) {
    const list = differences.map(
      ({ key, before, after }) => `${key} is ${show(before)} in the checkpoint and ${show(after)} now`,
    );
    super(
      'TROUPE_RESUME_DIFFERS',
      `a resumed run must keep model, data and train: ${list.join('; ')}; only machines, parallel, placement, wire, checkpoint, eval and device may change, and on purpose the last step (--extend-to) and the learning rate (--reset-schedule)`,
      { details: { keys: differences.map(({ key }) => key) } },
    );
  }
}

/** A running run is laid out anew already. */
export class RelayoutBusyError extends TroupeError {
  override readonly name = 'RelayoutBusyError';
  constructor(what: string, id: string) {
    super(
      'TROUPE_RELAYOUT_BUSY',
      `'${what}' (${id}) is under way, and there is one relayout at a time; ask again when status shows that it has ended`,
      { retryable: true, details: { id } },
    );
  }
}

/** A run cannot go on without a machine that it is asked to leave. */
export class DrainError extends TroupeError {
  override readonly name = 'DrainError';
  constructor(machine: string, reason: string) {
    super('TROUPE_DRAIN', `the run cannot go on without ${machine}: ${reason}`, { details: { machine } });
  }
}

/** The documents are not those that a checkpoint was trained on. */
export class DataChangedError extends TroupeError {
  override readonly name = 'DataChangedError';
  /** @param key - of the topology that names the files; null when it names none */
  constructor(since: string, before: string | null, now: string | null, key: string | null) {
    const back =
      key === null
        ? ''
        : `; to go on with the corpus of ${since}, put its files back or name them with --set ${key}=PATH`;
    super(
      'TROUPE_DATA_CHANGED',
      `the corpus is not that of ${since}: the documents read now hash to ${now ?? 'nothing'}, those of ${since} to ${before ?? 'nothing'}; to go on with what is read now, pass --data-changed${back}`,
      { details: { before, now } },
    );
  }
}

/** A topology names another tokenizer than that of the weights it starts with. */
export class TokenizerDiffersError extends TroupeError {
  override readonly name = 'TokenizerDiffersError';
  constructor(folder: string, vocab: number) {
    super(
      'TROUPE_DATA_TOKENIZER_DIFFERS',
      `data.tokenizer is another one than the tokenizer of ${vocab} tokens in checkpoint ${folder}, whose weights would read other text; leave data.tokenizer out to take that of the checkpoint`,
      { details: { folder, vocab } },
    );
  }
}

/** The files of the corpus that a run goes on with are not where its checkpoint says. */
export class DataMovedError extends TroupeError {
  override readonly name = 'DataMovedError';
  constructor(cause: TroupeError, key: string) {
    super(
      'TROUPE_DATA_UNREADABLE',
      `${cause.message}; the checkpoint says that it lies there: if it was moved, name it with --set ${key}=PATH`,
      { details: cause.details, cause },
    );
  }
}

/** An own expert runs on another body of `Device` than the one that was opened. */
export class ExpertDeviceError extends TroupeError {
  override readonly name = 'ExpertDeviceError';
  constructor(expert: string, body: DeviceInfo['body'], found: DeviceInfo) {
    super(
      'TROUPE_EXPERT_DEVICE',
      `the expert '${expert}' runs on device ${body}, this is ${found.name}; set \`device: ${body}\``,
      { details: { expert, body, found: found.body } },
    );
  }
}

/** A reader of a run's events needs some that are kept no more. */
export class EventsDroppedError extends TroupeError {
  override readonly name = 'EventsDroppedError';
  constructor(next: number, first: number, kept: number) {
    super(
      'TROUPE_EVENTS_DROPPED',
      `events ${next + 1} to ${first} of this run are kept no more (the newest ${kept} are); read from the start of the run, faster, or take every event at once with the option sink`,
      { details: { next, first, kept } },
    );
  }
}

/** The model does not fit into the memory of this machine, or of the control group that the process is in. */
export class MachineMemoryError extends TroupeError {
  override readonly name = 'MachineMemoryError';
  constructor(problem: string, hint: string, details: ErrorDetails) {
    super('TROUPE_MACHINE_MEMORY', `${problem}; ${hint}`, { details });
  }
}

/** A machine of a run runs another Troupe or another Node than its lead, or its kernels compute other numbers than those of another machine. */
export class MachineDiffersError extends TroupeError {
  override readonly name = 'MachineDiffersError';
  constructor(host: string, difference: string) {
    super('TROUPE_MACHINE_DIFFERS', `${host} ${difference}; install the same on all machines`, {
      details: { host },
    });
  }
}

/** A machine did not come back, and the run does not go on without it; `details.reason` is one of a fixed list. */
export class MachineLostError extends TroupeError {
  override readonly name = 'MachineLostError';
  constructor(sentence: string, reason: LossEnd, hosts: readonly string[]) {
    super('TROUPE_MACHINE_LOST', sentence, { retryable: true, details: { reason, hosts } });
  }
}

/** Machines did not come when a layout of a run began. */
export class MachineAwayError extends TroupeError {
  override readonly name = 'MachineAwayError';
  readonly away: readonly (Whereabouts & { readonly machine: number })[];
  constructor(sentence: string, away: MachineAwayError['away']) {
    super('TROUPE_WORKER_LOST', sentence, { retryable: true, details: { reason: 'not-started' } });
    this.away = away;
  }
}

/** What started this process, or is to start those of other machines, does not say what it has to, or says it twice. */
export class LauncherError extends TroupeError {
  override readonly name = 'LauncherError';
  constructor(problem: string) {
    super('TROUPE_LAUNCHER', problem);
  }
}

/** The key of a run cannot be used: it is missing, damaged, or not only its owner's. */
export class RunKeyError extends TroupeError {
  override readonly name = 'RunKeyError';
  constructor(problem: string) {
    super('TROUPE_KEY', problem);
  }
}

/** The lead of a run let an agent not in, and will not later. */
export class DialRefusedError extends TroupeError {
  override readonly name = 'DialRefusedError';
  constructor(problem: string) {
    super('TROUPE_DIAL_REFUSED', problem);
  }
}

/** The lead of a run was not reached, and may be later. */
export class LeadUnreachableError extends TroupeError {
  override readonly name = 'LeadUnreachableError';
  constructor(problem: string) {
    super('TROUPE_LEAD_UNREACHABLE', problem, { retryable: true });
  }
}

/** A machine that came back does not see the disk on which it writes its part of every checkpoint. */
export class MachineDiskError extends TroupeError {
  override readonly name = 'MachineDiskError';
  constructor(host: string, root: string) {
    super(
      'TROUPE_MACHINE_DISK',
      `${host} came back without the disk of the run's folder ('${root}'), which it had when the run began; mount it there, then resume`,
      { details: { host, root } },
    );
  }
}
