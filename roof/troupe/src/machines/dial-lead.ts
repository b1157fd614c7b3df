import { lookup } from 'node:dns/promises';
import { hostname } from 'node:os';
import { connect, type TLSSocket } from 'node:tls';
import type { Clock } from '@troupe/core';
import { DialRefusedError, LeadUnreachableError } from '../errors.ts';
import { dialTls, HANDSHAKE_MS, identityOf } from './dial-handshake.ts';
import { leadText, type LeadAddress } from './lead-address.ts';
import type { RunKey } from './run-key.ts';

/** Between two tries. */
const RETRY_MS = 1000;
/** A lead that begins, or ends, may close a connection; whatever closes so many in a row is none. */
const CLOSED_MAX = 5;
/** People are told that an agent waits after so many tries, and then now and then. */
const FIRST_NOTICE = 3;
const NOTICE_EVERY = 30;

export interface DialOptions {
  readonly lead: LeadAddress;
  readonly machine: number;
  readonly key: RunKey;
  /** Longest wait for a lead that is not there yet. */
  readonly waitMs: number;
  readonly clock: Clock;
  readonly notice: (text: string) => void;
}

/** What became of one try. */
type Tried =
  | { readonly kind: 'reached'; readonly socket: TLSSocket }
  /** Nothing listens there now. */
  | { readonly kind: 'away'; readonly why: string }
  /** Something does, and closed the connection. */
  | { readonly kind: 'closed'; readonly why: string }
  /** It will not change. */
  | { readonly kind: 'refused'; readonly why: string };

/**
 * Dials the lead at all its addresses until it answers.
 *
 * DIL-5: what refuses the handshake ends the dialling with a sentence; only who is away is dialled again.
 *
 * @throws {DialRefusedError} TROUPE_DIAL_REFUSED · {LeadUnreachableError} TROUPE_LEAD_UNREACHABLE
 */
export async function dialLead(options: DialOptions): Promise<TLSSocket> {
  const { lead, clock, waitMs, machine, notice } = options;
  const here = `machine ${machine} (${hostname()})`;
  const endMs = clock.now() + waitMs;
  let closed = 0;
  for (let tries = 1; ; tries++) {
    const { addresses, problem } = await addressesOf(lead.host);
    const failed: string[] = problem === null ? [] : [problem];
    let isClosed = false;
    for (const address of addresses) {
      const tried = await dialOnce(address, options);
      if (tried.kind === 'reached') return tried.socket;
      const at = leadText({ ...lead, host: address });
      if (tried.kind === 'refused')
        throw new DialRefusedError(`${here} was not let in at ${at}: ${tried.why}`);
      isClosed ||= tried.kind === 'closed';
      failed.push(`${at}: ${tried.why}`);
    }
    closed = isClosed ? closed + 1 : 0;
    const tell = failed.join('; ');
    if (closed >= CLOSED_MAX)
      throw new DialRefusedError(
        `${here} finds no Troupe at ${leadText(lead)} (${tell}); is it the lead's port?`,
      );
    if (clock.now() + RETRY_MS > endMs)
      throw new LeadUnreachableError(
        `${here} did not reach the lead at ${leadText(lead)} within ${waitMs / 1000} s (${tell}); recovery.waitSeconds is how long it tries`,
      );
    if (tries === FIRST_NOTICE || tries % NOTICE_EVERY === 0)
      notice(`${here} waits for the lead at ${leadText(lead)} (${tell})`);
    await new Promise<void>((resolve) => clock.after(RETRY_MS, resolve));
  }
}

/** Names are looked up anew each time: a lead that comes back may have another address. */
async function addressesOf(
  host: string,
): Promise<{ readonly addresses: readonly string[]; readonly problem: string | null }> {
  try {
    const found = await lookup(host, { all: true });
    return { addresses: found.map(({ address }) => address), problem: null };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return { addresses: [], problem: `${host} has no address here (${code})` };
  }
}

function dialOnce(host: string, { lead, machine, key, clock }: DialOptions): Promise<Tried> {
  return new Promise((resolve) => {
    let isConnected = false;
    const socket = connect({
      ...dialTls,
      host,
      port: lead.port,
      // The key that both have proves who they are; there is no certificate to look at.
      checkServerIdentity: () => undefined,
      pskCallback: (meeting) => ({
        identity: identityOf(machine),
        psk: key.ofMachine(machine, meeting ?? ''),
      }),
    });
    const timer = clock.after(HANDSHAKE_MS, () =>
      settle({ kind: 'away', why: `no answer within ${HANDSHAKE_MS / 1000} s` }),
    );
    const settle = (tried: Tried): void => {
      clock.cancel(timer);
      if (tried.kind !== 'reached') socket.destroy();
      resolve(tried);
    };
    socket.once('connect', () => (isConnected = true));
    socket.once('secureConnect', () => settle({ kind: 'reached', socket }));
    socket.on('error', (error: NodeJS.ErrnoException) => settle(judge(error, isConnected)));
  });
}

/** What an error of a connection or of its handshake means. */
function judge({ code = '', message }: NodeJS.ErrnoException, isConnected: boolean): Tried {
  if (!isConnected) return { kind: 'away', why: code || message };
  if (/BAD_RECORD_MAC|DECRYPT/u.test(code))
    return {
      kind: 'refused',
      why: 'it has another key; TROUPE_KEY_FILE has to hold the same on all machines',
    };
  if (code.includes('UNKNOWN_PSK_IDENTITY'))
    return { kind: 'refused', why: 'its run has no machine with this number, or leads it itself' };
  if (code.startsWith('ERR_SSL') || code === 'EPROTO')
    return { kind: 'refused', why: `what listens there is no lead of Troupe (${code})` };
  return { kind: 'closed', why: `the connection was closed (${code || message})` };
}
