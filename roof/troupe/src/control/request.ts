import { timingSafeEqual } from 'node:crypto';
import { TroupeError } from '@troupe/core';

/** What may be asked of a running run: a line of JSON each. */
export type ControlRequest =
  | { readonly do: 'status' }
  /** `now`: at once and without a checkpoint. */
  | { readonly do: 'stop'; readonly now: boolean };

/** What answers it: a line of JSON. */
export type ControlAnswer =
  | { readonly ok: true; readonly status?: unknown }
  | { readonly ok: false; readonly code: string; readonly message: string };

/** Who may look, and who may change something too. */
export interface ControlTokens {
  readonly view: string;
  readonly operate: string;
}

/** Bytes of a question: none is nearly as long. */
export const requestBytesMax = 4096;

/** A question that is none, or that its token does not allow. */
export class ControlError extends TroupeError {
  override readonly name = 'ControlError';
}

const isEqual = (given: string, expected: string): boolean => {
  const [a, b] = [Buffer.from(given), Buffer.from(expected)];
  return a.length === b.length && timingSafeEqual(a, b);
};

/**
 * Reads a question and judges whether its token allows it.
 *
 * @throws {ControlError} TROUPE_CONTROL_REQUEST · TROUPE_CONTROL_DENIED
 */
export function readRequest(line: string, tokens: ControlTokens): ControlRequest {
  let read: unknown;
  try {
    read = JSON.parse(line);
  } catch {
    throw new ControlError('TROUPE_CONTROL_REQUEST', 'found no JSON object on the line of a question');
  }
  const { token, do: what, now = false } = (read ?? {}) as Readonly<Record<string, unknown>>;
  const mayOperate = typeof token === 'string' && isEqual(token, tokens.operate);
  if (!mayOperate && !(typeof token === 'string' && isEqual(token, tokens.view)))
    throw new ControlError(
      'TROUPE_CONTROL_DENIED',
      'the token is not one of this run; control.json in its folder holds them',
    );
  if (what === 'status') return { do: what };
  if (what !== 'stop' || typeof now !== 'boolean')
    throw new ControlError(
      'TROUPE_CONTROL_REQUEST',
      `found ${JSON.stringify({ do: what, now })}, expected { do: 'status' } or { do: 'stop', now: true or false }`,
    );
  if (!mayOperate)
    throw new ControlError(
      'TROUPE_CONTROL_DENIED',
      'this token may look at the run and not stop it; that takes the operate token',
    );
  return { do: what, now };
}
