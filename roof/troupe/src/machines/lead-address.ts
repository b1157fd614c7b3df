import { isIPv6 } from 'node:net';
import { isLocalHost } from '@troupe/topology';
import { LauncherError } from '../errors.ts';

/** Where agents that something else has started find their lead. */
export interface LeadAddress {
  readonly host: string;
  readonly port: number;
}

/** Where nothing else is said. Not `MASTER_PORT`: torchrun listens there itself. */
export const leadPort = 7070;

/**
 * Reads `HOST`, `HOST:PORT`, `[IPv6]:PORT`, or an IPv6 address alone.
 *
 * @throws {LauncherError} TROUPE_LAUNCHER
 */
export function parseLeadAddress(text: string): LeadAddress {
  const [, inBrackets, plain, digits] =
    /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9_.-]+))(?::(\d{1,5}))?$/u.exec(text) ?? [];
  const host = inBrackets ?? plain ?? (isIPv6(text) ? text : undefined);
  const port = digits === undefined ? leadPort : Number(digits);
  if (host === undefined || port < 1 || port > 65_535)
    throw new LauncherError(
      `--lead is '${text}', expected HOST or HOST:PORT, the host of machine 0 as the others reach it`,
    );
  return { host, port };
}

export const leadText = ({ host, port }: LeadAddress): string =>
  host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;

/** All machines of such a run are this one. */
export const isOnLoopback = ({ host }: LeadAddress): boolean => isLocalHost(host) || host.startsWith('127.');
