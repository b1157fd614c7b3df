import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { LauncherError } from '../errors.ts';
import { dialTls, HANDSHAKE_MS, machineOfIdentity } from './dial-handshake.ts';

/** Connections that have not said who they are; of more the oldest is closed. */
const PENDING_MAX = 64;

export interface HandshakeOptions {
  /** null: all addresses of this machine. */
  readonly host: string | null;
  readonly port: number;
  /** Name of this meeting, which is said to who dials. */
  readonly meeting: string;
  /** What a machine has to prove itself with; null: there is no such machine. */
  readonly keyOf: (machine: number) => Uint8Array | null;
  readonly shaken: (socket: TLSSocket, machine: number, settle: () => void) => void;
  /** Somebody at this address has failed. */
  readonly failed: (address: string, problem: string) => void;
}

const keyOfPeer = ({ remoteAddress, remotePort }: Socket): string => `${remoteAddress} ${remotePort}`;

/**
 * Where agents dial: lets in who proves to be a machine of the run.
 *
 * DIL-1: which machine speaks is what its key has proved in the handshake.
 * DIL-4: a connection that does not finish its handshake and introduce itself within {@link HANDSHAKE_MS} is closed, and there are never
 * more than {@link PENDING_MAX} of them.
 */
export class Handshakes {
  readonly #server: Server;
  readonly #options: HandshakeOptions;
  /** Those that are not settled, the oldest first. */
  readonly #pending = new Map<string, { readonly socket: Socket; readonly timer: NodeJS.Timeout }>();
  readonly #machines = new WeakMap<TLSSocket, number>();

  private constructor(options: HandshakeOptions) {
    this.#options = options;
    this.#server = createServer({
      ...dialTls,
      handshakeTimeout: HANDSHAKE_MS,
      pskIdentityHint: options.meeting,
      pskCallback: (socket, identity) => {
        const machine = machineOfIdentity(identity);
        const key = machine === null ? null : options.keyOf(machine);
        if (machine !== null && key !== null) this.#machines.set(socket, machine);
        return key;
      },
    });
    this.#server.on('connection', (socket: Socket) => this.#open(socket));
    this.#server.on('secureConnection', (socket) => this.#shaken(socket));
    this.#server.on('tlsClientError', (error, socket) => {
      const address = socket.remoteAddress;
      if (address !== undefined) options.failed(address, error.message);
      socket.destroy();
    });
  }

  /** @throws {LauncherError} TROUPE_LAUNCHER when the port cannot be had */
  static async open(options: HandshakeOptions): Promise<Handshakes> {
    const { host, port } = options;
    const handshakes = new Handshakes(options);
    const server = handshakes.#server;
    server.listen({ port, ...(host === null ? {} : { host }) });
    try {
      await once(server, 'listening');
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      throw new LauncherError(
        `agents cannot be waited for at port ${port} of this machine (${code}); name another one on all machines: --lead HOST:PORT`,
      );
    }
    return handshakes;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Lets nobody in any more; those who are in stay. */
  close(): void {
    this.#server.close();
    for (const { socket } of this.#pending.values()) socket.destroy();
  }

  #open(socket: Socket): void {
    const peer = keyOfPeer(socket);
    socket.on('error', () => {});
    const timer = setTimeout(() => socket.destroy(), HANDSHAKE_MS);
    this.#pending.set(peer, { socket, timer });
    socket.once('close', () => this.#settle(peer));
    const [oldest] = this.#pending.values();
    if (this.#pending.size > PENDING_MAX) oldest?.socket.destroy();
  }

  #settle(peer: string): void {
    clearTimeout(this.#pending.get(peer)?.timer);
    this.#pending.delete(peer);
  }

  #shaken(socket: TLSSocket): void {
    const machine = this.#machines.get(socket);
    const peer = keyOfPeer(socket);
    if (machine === undefined) socket.destroy();
    else this.#options.shaken(socket, machine, () => this.#settle(peer));
  }
}
