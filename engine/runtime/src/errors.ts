import { TroupeError } from '@troupe/core';

/** A state that does not accept a message says so to the sender instead of staying silent. */
export class MessageRefusedError extends TroupeError {
  override readonly name = 'MessageRefusedError';
  constructor(address: string, kind: string, state: string) {
    super('TROUPE_ACTOR_REFUSED', `${address} in state ${state} does not accept ${kind}`, {
      details: { address, kind, state },
    });
  }
}

/** A message of a kind that is known, with other fields or tensors than that kind has: two versions of Troupe in one run. */
export class MessageShapeError extends TroupeError {
  override readonly name = 'MessageShapeError';
  constructor(kind: string, from: string, problem: string) {
    super('TROUPE_ACTOR_REFUSED', `${kind} of ${from} is not what this node knows by that name: ${problem}`, {
      details: { kind, from, problem },
    });
  }
}

/** No actor of that name lives where the directory says. */
export class UnknownAddressError extends TroupeError {
  override readonly name = 'UnknownAddressError';
  constructor(address: string, node: string) {
    super(
      'TROUPE_ACTOR_UNKNOWN',
      `no actor ${address} on ${node}; the directory and the mounted actors disagree`,
      {
        details: { address, node },
      },
    );
  }
}

/** More messages wait than an actor's mailbox may hold: a credit somewhere is wrong. */
export class MailboxFullError extends TroupeError {
  override readonly name = 'MailboxFullError';
  constructor(address: string, capacity: number) {
    super(
      'TROUPE_MAILBOX_FULL',
      `mailbox of ${address} is full at ${capacity} messages; a sender exceeds its credit`,
      {
        details: { address, capacity },
      },
    );
  }
}

/** An actor failed more often than its supervision allows. */
export class RestartIntensityError extends TroupeError {
  override readonly name = 'RestartIntensityError';
  constructor(address: string, restarts: number, periodMs: number, cause: unknown) {
    super('TROUPE_ACTOR_RESTARTS', `${address} failed ${restarts} times within ${periodMs} ms; giving up`, {
      details: { address, restarts, periodMs },
      cause,
    });
  }
}
