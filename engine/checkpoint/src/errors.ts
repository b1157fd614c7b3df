import { TroupeError, type ErrorDetails } from '@troupe/core';

/** A safetensors file or a Hugging Face folder that breaks its format; names the file and, where one is at fault, the tensor. */
export class CheckpointFormatError extends TroupeError {
  override readonly name = 'CheckpointFormatError';
  constructor(file: string, problem: string, details: ErrorDetails = {}) {
    super('TROUPE_CHECKPOINT_FORMAT', `${file}: ${problem}`, { details: { file, ...details } });
  }
}

/** A checkpoint whose bytes are not those that were written: truncated, missing, extra or changed. */
export class CheckpointDamagedError extends TroupeError {
  override readonly name = 'CheckpointDamagedError';
  constructor(folder: string, problem: string, details: ErrorDetails = {}, cause?: unknown) {
    super(
      'TROUPE_CHECKPOINT_DAMAGED',
      `checkpoint '${folder}' is damaged: ${problem}; resume from another one`,
      {
        details: { folder, ...details },
        cause,
      },
    );
  }
}

/** There is no checkpoint at that place. */
export class CheckpointMissingError extends TroupeError {
  override readonly name = 'CheckpointMissingError';
  constructor(folder: string, details: ErrorDetails = {}) {
    super('TROUPE_CHECKPOINT_MISSING', `'${folder}' holds no checkpoint: it has no manifest.json`, {
      details: { folder, ...details },
    });
  }
}

/** An intact checkpoint of another model: `problems` names every missing, extra, duplicate or misshapen tensor. */
export class CheckpointMismatchError extends TroupeError {
  override readonly name = 'CheckpointMismatchError';
  constructor(folder: string, problems: readonly string[]) {
    const shown = problems.slice(0, 8).join('; ');
    const rest = problems.length > 8 ? `; and ${problems.length - 8} more` : '';
    super('TROUPE_CHECKPOINT_MISMATCH', `checkpoint '${folder}' does not fit the model: ${shown}${rest}`, {
      details: { folder, problems },
    });
  }
}

/** The pieces handed to a writer do not tile the tensors: overlapping, outside, missing, unknown. */
export class CheckpointPiecesError extends TroupeError {
  override readonly name = 'CheckpointPiecesError';
  constructor(problem: string, details: ErrorDetails = {}) {
    super('TROUPE_CHECKPOINT_PIECES', problem, { details });
  }
}

/** A model that the other format, or ours, cannot express; names the setting and its value. */
export class CheckpointUnsupportedError extends TroupeError {
  override readonly name = 'CheckpointUnsupportedError';
  constructor(where: string, problem: string, details: ErrorDetails = {}) {
    super('TROUPE_CHECKPOINT_UNSUPPORTED', `${where}: ${problem}`, { details: { where, ...details } });
  }
}

/** The thread that hashes died. */
export class CheckpointHasherError extends TroupeError {
  override readonly name = 'CheckpointHasherError';
  constructor(reason: string, cause?: unknown) {
    super('TROUPE_CHECKPOINT_HASHER', `the hashing thread ended: ${reason}`, { retryable: true, cause });
  }
}
