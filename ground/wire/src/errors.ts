import { TroupeError, type ErrorDetails } from '@troupe/core';

/** The sender speaks another version of the header; the processes of a run must come from the same release. */
export class WireVersionError extends TroupeError {
  override readonly name = 'WireVersionError';
  constructor(found: number, supported: number) {
    super(
      'TROUPE_WIRE_VERSION',
      `wire protocol version ${found} found, ${supported} supported; run the same release of Troupe on every machine`,
      { details: { found, supported } },
    );
  }
}

/** A message kind that is not in the codec's registry. */
export class WireKindError extends TroupeError {
  override readonly name = 'WireKindError';
  constructor(kind: string) {
    super('TROUPE_WIRE_KIND', `message kind '${kind}' is not registered; expected a known 'noun.verb'`, {
      details: { kind },
    });
  }
}

/** A header, body or frame that does not have the form the protocol gives it. */
export class WireFormatError extends TroupeError {
  override readonly name = 'WireFormatError';
  constructor(message: string, details: ErrorDetails = {}, cause?: unknown) {
    super('TROUPE_WIRE_FORMAT', message, { details, cause });
  }
}

/** Header or frames changed on the way. Retryable: the sender still has the bytes. */
export class WireChecksumError extends TroupeError {
  override readonly name = 'WireChecksumError';
  constructor(found: string, expected: string) {
    super(
      'TROUPE_WIRE_CHECKSUM',
      `checksum ${found} found, ${expected} expected; the packet was damaged on the way`,
      {
        retryable: true,
        details: { found, expected },
      },
    );
  }
}

/** A header above the limit; tensors belong into frames, not into the body. */
export class WireOversizeError extends TroupeError {
  override readonly name = 'WireOversizeError';
  constructor(what: string, found: number, limit: number, unit: 'bytes' | 'frames') {
    super(
      'TROUPE_WIRE_OVERSIZE',
      `${what} is ${found} ${unit}, limit ${limit} ${unit}; tensors travel as frames, never in the body`,
      { details: { what, found, limit, unit } },
    );
  }
}
