import { chmod, mkdir, rm } from 'node:fs/promises';
import { connect, isIP } from 'node:net';
import { join } from 'node:path';
import { networkInterfaces } from 'node:os';
import type { Lane } from '@troupe/core';
import { addressesToOffer, inEndpoint, isLinkLocal, isLoopback, isWildcard, placesMax } from './addresses.ts';
import { AddressInUseError, EndpointError, InsecureTransportError } from './errors.ts';
import type { Endpoints } from './hello.ts';

/**
 * Where to listen. `ipc`: two sockets in a directory that only this user can enter, names chosen from `name`. `tcp`: an interface
 * and, per lane, a port; 0 or absent lets the system choose.
 */
export type Listen =
  | { readonly kind: 'ipc'; readonly directory: string; readonly name?: string }
  | {
      readonly kind: 'tcp';
      /** An address of this machine, IPv6 with brackets or without, or all of them: `0.0.0.0` (IPv4), `::` or `*` (both). */
      readonly host: string;
      readonly ports?: Readonly<Record<Lane, number>>;
      /**
       * Names and addresses at which peers try to find this node, the best first, at most 8. A name is looked up again at every try, so
       * a node that comes back under another address is found. Default: `host`, or where that is a wildcard the addresses of this machine.
       */
      readonly advertise?: readonly string[];
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
    const endpoint = `tcp://${inEndpoint(listen.host)}:${listen.ports?.[lane] || '*'}`;
    checkSecure(endpoint, listen.host, secured);
    return endpoint;
  }
  const endpoint = `ipc://${join(listen.directory, `${named(listen).name}.${lane}`)}`;
  checkEndpoint(endpoint, secured);
  await mkdir(listen.directory, { recursive: true });
  await clearStale(endpoint);
  return endpoint;
}

/** Where peers try to connect, the best first, from what the library bound. @throws {EndpointError | AddressError} */
export function offered(listen: Listen, bound: Endpoints): Endpoints {
  if (listen.kind !== 'tcp' || (listen.advertise === undefined && !isWildcard(listen.host))) return bound;
  const hosts = listen.advertise ?? addressesToOffer(networkInterfaces());
  const portOf = (endpoint: string): string => endpoint.slice(endpoint.lastIndexOf(':') + 1);
  const [first, ...others] = hosts.map((host) => {
    const place = `tcp://${inEndpoint(host)}:`;
    if (!isLoopback(listen.host) && (isLoopback(host) || isLinkLocal(host) || isWildcard(host)))
      throw new EndpointError(
        place,
        'other machines cannot be told a loopback, link-local or wildcard address',
      );
    return { control: place + portOf(bound.control), data: place + portOf(bound.data) };
  });
  if (first === undefined || others.length >= placesMax)
    throw new EndpointError(bound.control, `${hosts.length} hosts to advertise, expected 1 to ${placesMax}`);
  return others.length === 0 ? first : { ...first, others };
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

/** The library takes a host for IPv4 unless it is told otherwise; `*` listens to both. */
export const isIpv6 = (endpoint: string): boolean => /^tcp:\/\/(?:\[|\*:)/.test(endpoint);

/** Its host is a name, which somebody has to look up. */
export function hasName(endpoint: string): boolean {
  const host = /^tcp:\/\/([^[\]*]+):\d+$/.exec(endpoint)?.[1];
  return host !== undefined && host !== 'localhost' && isIP(host) === 0;
}

function checkSecure(endpoint: string, host: string, secured: boolean): void {
  if (secured || isLoopback(host)) return;
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
