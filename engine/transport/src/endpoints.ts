import { chmod, mkdir, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { AddressInUseError, EndpointError, InsecureTransportError } from './errors.ts';
import type { Lane } from '@troupe/core';

/**
 * Where to listen. `ipc`: two sockets in a directory that only this user can enter, names chosen from `name`. `tcp`: an interface
 * and, per lane, a port; 0 or absent lets the system choose.
 */
export type Listen =
  | { readonly kind: 'ipc'; readonly directory: string; readonly name?: string }
  | {
      readonly kind: 'tcp';
      readonly host: string;
      readonly ports?: Readonly<Record<Lane, number>>;
      /** What peers are told to connect to, when it differs from `host` (a wildcard, a host name). */
      readonly advertiseHost?: string;
    };

/** The kernel takes 107; the rest is left for what a caller may append. */
export const ipcPathBytesMax = 100;

let ipcCounter = 0;

/** The same place with a name of its own, the same for both lanes. */
export const named = <L extends Listen>(listen: L): L & { readonly name?: string } =>
  listen.kind === 'ipc' && listen.name === undefined
    ? { ...listen, name: `${process.pid}-${++ipcCounter}` }
    : listen;

/**
 * The endpoint to bind for a lane.
 *
 * @throws {EndpointError | InsecureTransportError | AddressInUseError}
 */
export async function bindEndpoint(listen: Listen, lane: Lane, secured: boolean): Promise<string> {
  if (listen.kind === 'tcp') {
    const endpoint = `tcp://${listen.host}:${listen.ports?.[lane] || '*'}`;
    checkSecure(endpoint, listen.host, secured);
    return endpoint;
  }
  const endpoint = `ipc://${join(listen.directory, `${named(listen).name}.${lane}`)}`;
  checkEndpoint(endpoint, secured);
  await mkdir(listen.directory, { recursive: true });
  await clearStale(endpoint);
  return endpoint;
}

/** What peers connect to, from what the library bound. */
export function advertised(listen: Listen, bound: string): string {
  if (listen.kind !== 'tcp' || listen.advertiseHost === undefined) return bound;
  return `tcp://${listen.advertiseHost}:${bound.slice(bound.lastIndexOf(':') + 1)}`;
}

/** Nobody but this user may connect. */
export const guardIpc = (bound: string): Promise<void> =>
  bound.startsWith('ipc://') ? chmod(bound.slice('ipc://'.length), 0o600) : Promise.resolve();

export const removeIpc = (bound: string): Promise<void> =>
  bound.startsWith('ipc://') ? rm(bound.slice('ipc://'.length), { force: true }) : Promise.resolve();

/**
 * Checks an endpoint before connecting to it; a peer's hello may name anything.
 *
 * @throws {EndpointError | InsecureTransportError}
 */
export function checkEndpoint(endpoint: string, secured: boolean): void {
  if (endpoint.startsWith('ipc://')) {
    const found = Buffer.byteLength(endpoint) - 'ipc://'.length;
    if (found <= ipcPathBytesMax) return;
    throw new EndpointError(
      endpoint,
      `its path has ${found} bytes, limit ${ipcPathBytesMax}; choose a shorter directory`,
    );
  }
  const host = /^tcp:\/\/(.+):(\d+|\*)$/.exec(endpoint)?.[1];
  if (host === undefined) throw new EndpointError(endpoint, "expected 'ipc://PATH' or 'tcp://HOST:PORT'");
  checkSecure(endpoint, host, secured);
}

function checkSecure(endpoint: string, host: string, secured: boolean): void {
  if (secured || /^(127(\.\d{1,3}){3}|\[?::1\]?|localhost)$/.test(host)) return;
  throw new InsecureTransportError(endpoint, 'TCP beyond loopback is open to everybody on the network');
}

/** The library unlinks an existing socket before it binds, even one in use: ask first whether anybody answers. */
async function clearStale(endpoint: string): Promise<void> {
  const path = endpoint.slice('ipc://'.length);
  const inUse = await new Promise<boolean>((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
  if (inUse) throw new AddressInUseError(endpoint);
  await rm(path, { force: true });
}
