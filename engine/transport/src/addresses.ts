import { BlockList, isIP, isIPv4 } from 'node:net';
import { AddressError } from './errors.ts';

/** What `os.networkInterfaces()` gives, as far as it is looked at: programs without the types of Node see this one. */
export type MachineInterfaces = Readonly<
  Record<string, readonly { readonly address: string; readonly internal: boolean }[] | undefined>
>;

/** Which addresses of a machine come first. */
export interface OfferChoice {
  /** Name of an interface (`ib0`), or a range of addresses (`10.0.0.0/8`, `fd00::/8`). */
  readonly interface?: string;
  /** What the launcher calls this machine: a name that others can resolve, or an address. */
  readonly name?: string;
}

/** Most places that a node says it can be reached at; a hello has room for them. */
export const placesMax = 8;

/** Bridges and tunnels that containers and virtual machines make: every host has the same addresses there. */
const madeByContainers =
  /^(?:docker|br-|virbr|veth|vnet|cni|flannel|cali|cilium|podman|lxc|lxd|tap|tun|vmnet|nerdctl|kube|weave|dummy)/;

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');
const linkLocal = new BlockList();
linkLocal.addSubnet('169.254.0.0', 16, 'ipv4');
linkLocal.addSubnet('fe80::', 10, 'ipv6');

const bare = (host: string): string => host.replace(/^\[(.*)\]$/, '$1').replace(/%.*$/, '');
const isIn = (list: BlockList, host: string): boolean => {
  const address = bare(host);
  return isIP(address) !== 0 && list.check(address, isIPv4(address) ? 'ipv4' : 'ipv6');
};

/** Means this machine, on every machine. */
export const isLoopback = (host: string): boolean => host === 'localhost' || isIn(loopback, host);

/** Means something on one cable only. */
export const isLinkLocal = (host: string): boolean => isIn(linkLocal, host);

/** Every address of this machine: `0.0.0.0`, `::`, `*`. */
export const isWildcard = (host: string): boolean => ['*', '0.0.0.0', '::'].includes(bare(host));

/** As a part of an endpoint: IPv6 in brackets. */
export const inEndpoint = (host: string): string => (isIP(host) === 6 ? `[${host}]` : host);

interface Found {
  readonly device: string;
  readonly address: string;
}

/** In a fixed order: real interfaces before those of containers, IPv4 before IPv6, then by name and address. */
function usable(interfaces: MachineInterfaces): readonly Found[] {
  const found = Object.entries(interfaces).flatMap(([device, infos]) =>
    (infos ?? [])
      .filter(({ internal, address }) => !internal && !isLoopback(address) && !isLinkLocal(address))
      .map(({ address }): Found => ({ device, address })),
  );
  const rank = ({ device, address }: Found): string =>
    `${madeByContainers.test(device) ? 1 : 0}${isIPv4(address) ? 0 : 1} ${device} ${sortable(address)}`;
  return found.sort((a, b) => (rank(a) < rank(b) ? -1 : 1));
}

/** `10.0.0.9` before `10.0.0.10`. */
const sortable = (address: string): string =>
  isIPv4(address) ? address.replace(/\d+/g, (digits) => digits.padStart(3, '0')) : address;

/** Which of them a name of an interface, or a range, means. */
function chosenBy(wanted: string, among: readonly Found[]): readonly Found[] {
  const range = /^(.+)\/(\d+)$/.exec(wanted);
  if (range === null) return among.filter(({ device }) => device === wanted);
  const [net, bits] = [bare(range[1]!), Number(range[2])];
  const family = isIP(net);
  if (family === 0 || bits > (family === 4 ? 32 : 128)) return [];
  const list = new BlockList();
  list.addSubnet(net, bits, family === 4 ? 'ipv4' : 'ipv6');
  return among.filter(({ address }) => isIP(address) === family && isIn(list, address));
}

/**
 * Under which hosts other machines may find this one, the best first: those of the chosen interface, the launcher's name, the rest.
 *
 * An address may belong to another machine too (every Docker host has 172.17.0.1), so whoever dials one believes only a hello.
 * Loopback and link-local addresses are never among them.
 *
 * @returns names and addresses, IPv6 in brackets, at most {@link placesMax}
 * @throws {AddressError} TROUPE_TRANSPORT_ADDRESS when `choice.interface` means none of this machine's addresses, or there is none
 */
export function addressesToOffer(interfaces: MachineInterfaces, choice: OfferChoice = {}): readonly string[] {
  const all = usable(interfaces);
  const first = choice.interface === undefined ? [] : chosenBy(choice.interface, all);
  if (choice.interface !== undefined && first.length === 0)
    throw new AddressError(
      `interface '${choice.interface}' is none of this machine`,
      all.map(({ device, address }) => `${device} ${address}`),
    );
  const { name } = choice;
  const named = name === undefined || isLoopback(name) || isLinkLocal(name) || isWildcard(name) ? [] : [name];
  const hosts = [
    ...new Set([
      ...first.map(({ address }) => address),
      ...named.map(bare),
      ...all.map(({ address }) => address),
    ]),
  ];
  if (hosts.length === 0) throw new AddressError('no address that another machine could reach', []);
  return hosts.slice(0, placesMax).map(inEndpoint);
}
