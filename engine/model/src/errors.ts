import { TroupeError } from '@troupe/core';

/** The microbatch does not divide as its shape says. */
export class StageShapeError extends TroupeError {
  override readonly name = 'StageShapeError';
  constructor(message: string, details: Readonly<Record<string, string | number>>) {
    super('TROUPE_MODEL_SHAPE', message, { details });
  }
}

/** A batch whose arrays do not hold one value per token of the microbatch. */
export class BatchLengthError extends TroupeError {
  override readonly name = 'BatchLengthError';
  constructor(array: string, found: number, expected: number) {
    super('TROUPE_MODEL_BATCH', `${array} holds ${found} values, expected ${expected}, one per token`, {
      details: { array, found, expected },
    });
  }
}

/** A unit or parameter that this buffer does not hold. */
export class UnknownParameterError extends TroupeError {
  override readonly name = 'UnknownParameterError';
  constructor(name: string, hint: string) {
    super('TROUPE_MODEL_PARAMETER', `${name} is not in this layout; ${hint}`, { details: { name } });
  }
}

/** A prompt that cannot be continued, or sampling settings outside their range. */
export class GenerationError extends TroupeError {
  override readonly name = 'GenerationError';
  constructor(message: string, details: Readonly<Record<string, string | number>> = {}) {
    super('TROUPE_MODEL_GENERATION', message, { details });
  }
}
