import { randomUUID } from 'node:crypto';
import { assert, type Clock } from '@troupe/core';
import { exitCodes } from '../run-result.ts';
import type { AgentLink, AgentLinkHandlers } from './agent-link.ts';
import type { DialLine } from './dial-lines.ts';
import { DialedConnection } from './dialed-connection.ts';
import { DialedLink } from './dialed-link.ts';
import { Handshakes } from './handshakes.ts';
import type { Launcher, LauncherCommand } from './launcher.ts';
import { isOnLoopback, leadText, type LeadAddress } from './lead-address.ts';
import { localLauncher } from './local-launcher.ts';
import type { RunKey } from './run-key.ts';

/** After a run has ended, agents that were away are told so long. */
const LINGER_MS = 10_000;
/** Addresses of which a failed handshake is told. */
const NOTICES_MAX = 20;

export interface RendezvousOptions {
  readonly key: RunKey;
  /** Machines of the run. */
  readonly machines: number;
  /** Where this machine is dialled. Port 0: any free one. */
  readonly lead: LeadAddress;
  readonly clock: Clock;
  /** A line for people: who was not let in. */
  readonly notice: (text: string) => void;
}

/**
 * Where the machines of a run meet that something else has started: machine 0 is this one, and the agents of the others dial it.
 *
 * DIL-2: a machine has one agent. Of two that say they are the same machine the one that answers keeps the place, and the other is told of
 * both; one that does not answer has lost it, and who comes is its next life.
 */
export class Rendezvous implements Launcher {
  readonly name = 'dial';
  readonly isOneHost: boolean;
  readonly #options: RendezvousOptions;
  #handshakes: Handshakes | null = null;
  readonly #local = localLauncher();
  /** The agent of each machine that is here, whether it is wanted yet or not. */
  readonly #present = new Map<number, DialedConnection>();
  readonly #links = new Map<number, DialedLink>();
  readonly #asked = new Set<number>();
  readonly #told = new Set<string>();
  #exitCode: number | null = null;
  #toldOver: () => void = () => {};
  /** Machines that know how the run ended. */
  readonly #over = new Set<number>();

  private constructor(options: RendezvousOptions) {
    this.#options = options;
    this.isOneHost = isOnLoopback(options.lead);
  }

  /** @throws {LauncherError} TROUPE_LAUNCHER when the port cannot be had */
  static async open(options: RendezvousOptions): Promise<Rendezvous> {
    const rendezvous = new Rendezvous(options);
    await rendezvous.#listen();
    return rendezvous;
  }

  async #listen(): Promise<void> {
    const { key, lead, machines, clock } = this.#options;
    const meeting = randomUUID();
    this.#handshakes = await Handshakes.open({
      host: this.isOneHost ? lead.host : null,
      port: lead.port,
      meeting,
      keyOf: (machine) => (machine > 0 && machine < machines ? key.ofMachine(machine, meeting) : null),
      shaken: (socket, machine, settle) => {
        const connection: DialedConnection = new DialedConnection(socket, machine, clock, () => {
          settle();
          void this.#come(connection);
        });
      },
      failed: (address) => this.#refuseAddress(address),
    });
  }

  get port(): number {
    assert(this.#handshakes !== null, 'it listens');
    return this.#handshakes.port;
  }

  /** The agent of this machine is started here; what is started on another one is printed only. */
  command(machine: number): LauncherCommand {
    if (machine === 0) return this.#local.command(0, '');
    const { lead, machines } = this.#options;
    return {
      file: 'troupe',
      args: ['agent', 'FILE', '--machine', `${machine}`, '--of', `${machines}`, '--lead', leadText(lead)],
    };
  }

  awaitAgent(machine: number, waitMs: number, handlers: AgentLinkHandlers): AgentLink | null {
    if (machine === 0) return null;
    const link = new DialedLink(waitMs, this.#options.clock, handlers);
    this.#links.set(machine, link);
    const present = this.#present.get(machine);
    if (present?.isOpen === true) link.attach(present);
    return link;
  }

  /** Tells all agents how the run ended, those too that come within seconds, and lets nobody in any more. */
  async end(exitCode: number): Promise<void> {
    this.#exitCode = exitCode;
    for (const connection of this.#present.values()) this.#tellOver(connection);
    const { clock, machines } = this.#options;
    // Who was asked to stop does not wait.
    if (this.#over.size < machines - 1 && exitCode < exitCodes.hungUp)
      await new Promise<void>((resolve) => {
        const timer = clock.after(LINGER_MS, resolve);
        this.#toldOver = () => {
          if (this.#over.size < machines - 1) return;
          clock.cancel(timer);
          resolve();
        };
      });
    this.#handshakes?.close();
  }

  async #come(connection: DialedConnection): Promise<void> {
    const { machine, dial } = connection;
    const problem = this.#problemOf(machine, dial);
    if (problem !== null)
      return connection.close({ type: 'refused', exitCode: exitCodes.usage, reason: problem });
    if (this.#exitCode !== null) return this.#tellOver(connection);
    const other = this.#present.get(machine);
    if (other?.isOpen === true && !(await this.#yields(machine, other)))
      return connection.close({
        type: 'refused',
        exitCode: exitCodes.usage,
        reason: `machine ${machine} has an agent, ${other.name}, and ${connection.name} says that it is machine ${machine} too; give each its own number`,
      });
    if (!connection.isOpen) return;
    this.#present.set(machine, connection);
    const link = this.#links.get(machine);
    if (link?.isWaiting === true) link.attach(connection);
  }

  /** Whether the agent that has a place is gone; then it has lost it. */
  async #yields(machine: number, other: DialedConnection): Promise<boolean> {
    if (this.#asked.has(machine)) return false;
    this.#asked.add(machine);
    const isThere = await other.isThere();
    this.#asked.delete(machine);
    if (!isThere) other.lose('it does not answer, and another agent has come in its place');
    return !isThere;
  }

  /** Its key has proved which machine it is; what it says may differ. */
  #problemOf(machine: number, dial: DialLine | null): string | null {
    const { machines } = this.#options;
    if (dial?.machine !== machine)
      return `it has the key of machine ${machine}, and says that it is machine ${dial?.machine}`;
    if (dial.of !== machines) return `it was told of ${dial.of} machines, and the run has ${machines}`;
    return null;
  }

  #refuseAddress(address: string): void {
    if (this.#told.has(address) || this.#told.size >= NOTICES_MAX) return;
    this.#told.add(address);
    this.#options.notice(
      `somebody at ${address} was not let in: no agent, or one with another key (TROUPE_KEY_FILE)`,
    );
  }

  #tellOver(connection: DialedConnection): void {
    connection.close({ type: 'over', exitCode: this.#exitCode ?? exitCodes.ok });
    this.#over.add(connection.machine);
    this.#toldOver();
  }
}
