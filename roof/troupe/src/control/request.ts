import { timingSafeEqual } from 'node:crypto';
import { TroupeError } from '@troupe/core';
import { askOf, type RelayoutAsk } from '../relayout/relayout-ask.ts';

/** What may be asked of a running run: a line of JSON each. */
export type ControlRequest =
  | { readonly do: 'status' }
  /** `now`: at once and without a checkpoint. */
  | { readonly do: 'stop'; readonly now: boolean }
  | RelayoutRequest;

/** Another layout. */
export interface RelayoutRequest {
  readonly do: 'relayout';
  /** One that is repeated is answered, and not done again. */
  readonly id: string;
  /** Who asks, as they say. */
  readonly by: string;
  /** To say what would change, and to change nothing. */
  readonly dryRun: boolean;
  readonly ask: RelayoutAsk;
}

/** What answers it: a line of JSON. */
export type ControlAnswer =
  | { readonly ok: true; readonly status?: unknown; readonly relayout?: unknown }
  | { readonly ok: false; readonly code: string; readonly message: string };

/** Who may look, and who may change something too. */
export interface ControlTokens {
  readonly view: string;
  readonly operate: string;
}

/** Bytes of a question: a topology with all its machines by name is nearly as long. */
export const requestBytesMax = 256 * 1024;

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
  const request = changeOf(read as Readonly<Record<string, unknown>>);
  if (request === null)
    throw new ControlError(
      'TROUPE_CONTROL_REQUEST',
      `found ${JSON.stringify({ do: what, now }).slice(0, MOST_SHOWN)}, expected { do: 'status' }, { do: 'stop', now: true or false } or { do: 'relayout', id, by, dryRun, ask }`,
    );
  if (!mayOperate)
    throw new ControlError(
      'TROUPE_CONTROL_DENIED',
      'this token may look at the run and change nothing; that takes the operate token',
    );
  return request;
}

/** Characters of a wrong question that come back. */
const MOST_SHOWN = 200;
/** Of an id, and of who asks: both are kept. */
const MOST_NAMED = 128;

/** What changes something; null: it is none. */
function changeOf(read: Readonly<Record<string, unknown>>): ControlRequest | null {
  const { do: what, now = false, id, by, dryRun = false, ask: asked } = read;
  if (what === 'stop' && typeof now === 'boolean') return { do: what, now };
  const ask = askOf(asked);
  const isName = (each: unknown): each is string =>
    typeof each === 'string' && each !== '' && each.length <= MOST_NAMED;
  if (what !== 'relayout' || ask === null || !isName(id) || !isName(by) || typeof dryRun !== 'boolean')
    return null;
  return { do: what, id, by, dryRun, ask };
}
