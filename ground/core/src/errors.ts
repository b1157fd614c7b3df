/** What an error carries besides its message: plain values that survive a trip over the wire. */
export type ErrorDetails = Readonly<
  Record<string, string | number | boolean | null | readonly (string | number)[]>
>;

export interface TroupeErrorOptions {
  /** True when the same call may succeed later (disk full, port in use, host unreachable). Default false. */
  readonly retryable?: boolean;
  readonly details?: ErrorDetails;
  readonly cause?: unknown;
}

/** An error as it travels between processes: no stack, since a stack names paths of another machine. */
export interface SerializedError {
  readonly code: string;
  readonly message: string;
  readonly retryable: boolean;
  readonly details: ErrorDetails;
  /** Address or worker where it arose. */
  readonly origin?: string;
}

/**
 * Base of every error a caller can act on.
 *
 * `code` is stable and starts with `TROUPE_`; the message says what was found, what was expected, and a hint.
 */
export class TroupeError extends Error {
  override readonly name: string = 'TroupeError';
  readonly code: string;
  readonly retryable: boolean;
  readonly details: ErrorDetails;

  constructor(code: string, message: string, options: TroupeErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retryable = options.retryable ?? false;
    this.details = options.details ?? {};
  }
}

/** A bug in Troupe itself: an invariant that the code relies on did not hold. */
export class InvariantError extends TroupeError {
  override readonly name = 'InvariantError';
  constructor(message: string, details: ErrorDetails = {}) {
    super('TROUPE_INVARIANT', message, { details });
  }
}

/** An argument of a function is not what it has to be; says so before anything starts, and everything at once. */
export class OptionError extends TroupeError {
  override readonly name = 'OptionError';
  constructor(caller: string, problems: readonly string[]) {
    super('TROUPE_OPTION', `${caller}: ${problems.join('; ')}`, { details: { caller, problems } });
  }
}

/**
 * Code of the embedding program, such as a gate, an expert, a source of tokens or a callback, threw or gave a wrong answer.
 *
 * What it threw is the `cause`.
 */
export class UserCodeError extends TroupeError {
  override readonly name = 'UserCodeError';
  constructor(what: string, problem: string, cause?: unknown) {
    super('TROUPE_USER_CODE', `${what} ${problem}`, { details: { what }, cause });
  }
}

/** Asked for something the design names but that is not built yet. Always says what, never pretends. */
export class NotBuiltError extends TroupeError {
  override readonly name = 'NotBuiltError';
  constructor(what: string, hint: string) {
    super('TROUPE_NOT_BUILT', `${what} is not built yet; ${hint}`, { details: { what } });
  }
}

/** A wait whose deadline passed; the message names waiter, awaited, reason and time waited. */
export class DeadlineError extends TroupeError {
  override readonly name = 'DeadlineError';
  constructor(message: string, details: ErrorDetails = {}) {
    super('TROUPE_DEADLINE', message, { retryable: true, details });
  }
}

/**
 * States an invariant; stays on in production.
 *
 * @throws {InvariantError} TROUPE_INVARIANT when `condition` is false
 */
export function assert(condition: unknown, message: string, details?: ErrorDetails): asserts condition {
  if (!condition) throw new InvariantError(message, details);
}

/** Turns anything thrown into the form that travels over the wire. */
export function serializeError(error: unknown, origin?: string): SerializedError {
  const base =
    error instanceof TroupeError
      ? { code: error.code, message: error.message, retryable: error.retryable, details: error.details }
      : {
          code: 'TROUPE_UNKNOWN',
          message: error instanceof Error ? error.message : String(error),
          retryable: false,
          details: {},
        };
  return origin === undefined ? base : { ...base, origin };
}

/** The inverse of {@link serializeError}; the class is lost, the code is not. */
export function deserializeError(error: SerializedError): TroupeError {
  const details = error.origin === undefined ? error.details : { ...error.details, origin: error.origin };
  return new TroupeError(error.code, error.message, { retryable: error.retryable, details });
}
