import { type Job, type MountedWorker, type ProgramSystem, type TokenSource } from '@troupe/actors';
import {
  assert,
  nodeId,
  serializeError,
  type Address,
  type Logger,
  type NodeId,
  type Transport,
  type TroupeError,
} from '@troupe/core';
import type { Device } from '@troupe/kernel-set';
import type { Turn } from '@troupe/runtime';
import { agentNodeOf, defaultHome, leadNode, type ResolvedTopology, type WorkerRank } from '@troupe/topology';
import { createJobSystem } from '../job-system.ts';
import { homeOf } from '../launch/homes.ts';
import type { Lives, LifePorts } from './lives.ts';
import type { ExitHandler, Processes, Whereabouts } from './processes.ts';
import { reportsOf } from './reports.ts';
import { beginWorker } from './worker-life.ts';

export interface HostedOptions {
  readonly topology: ResolvedTopology;
  readonly job: Job;
  readonly lives: Lives;
  /** One a worker, then one a host. They are closed at the end. */
  readonly devices: readonly Device[];
  readonly tokens: TokenSource;
  readonly logger: Logger;
  readonly observe?: (turn: Turn) => void;
  readonly mailboxCapacity?: number;
  /** Ends the run: nobody can be told. */
  readonly unjudged: (error: TroupeError) => void;
  /** Sees the system of every life, still without actors. */
  readonly begun?: (system: ProgramSystem) => void;
}

/** Milliseconds for what is queued to leave. */
const GOODBYE_MS = 1000;

/** Every home is computed once for all nodes of this process, and is one string: computing it was a tenth of sending a message. */
function remembered(home: ReturnType<typeof defaultHome>): ReturnType<typeof defaultHome> {
  const known = new Map<Address, NodeId>();
  return (address) => {
    let node = known.get(address);
    if (node === undefined) {
      node = home(address);
      known.set(address, node);
    }
    return node;
  };
}

/** Workers that share this process, or a simulated world: each with a system, a transport and a device of its own. */
export class HostedProcesses implements Processes {
  readonly restartsAgents = true;
  readonly beginLead?: NonNullable<Processes['beginLead']>;
  readonly storeIsBesideLead: boolean;
  /** What is mounted now, by rank. */
  readonly workers: MountedWorker[] = [];
  readonly #options: HostedOptions;
  readonly #home: ReturnType<typeof defaultHome>;
  readonly #systems = new Map<NodeId, ProgramSystem>();
  /** Of lives of the lead that later ones have replaced: one that only stood still goes on, and must do no harm. */
  readonly #formerLeads: ProgramSystem[] = [];
  readonly #transports: Transport[] = [];
  /** The life of a node that was asked for last. */
  readonly #wanted = new Map<NodeId, number>();
  #thrown: { readonly error: TroupeError; readonly actor: Address } | null = null;
  /** Workers that wait for the next life of their machine's agent. */
  readonly #waiting = new Map<NodeId, (() => void)[]>();
  #isOver = false;

  constructor(options: HostedOptions) {
    this.#options = options;
    const { topology, lives } = options;
    this.storeIsBesideLead = lives.leadIsApart === true;
    this.#home = remembered(
      this.storeIsBesideLead ? homeOf(topology, 'on their machines') : defaultHome(topology),
    );
    this.#open(leadNode, 1);
    if (options.lives.restartsLead === true) this.beginLead = (life, begun) => this.#beginLead(life, begun);
    const { machines } = options.job.layout;
    for (let machine = 0; machine < machines.count; machine++) this.#open(agentNodeOf(machine), 1);
  }

  get lead(): ProgramSystem {
    const found = this.#systems.get(leadNode);
    assert(found, 'a run has a lead');
    return found;
  }

  /** Systems of the present lives, the lead's first. */
  get systems(): ReadonlyMap<NodeId, ProgramSystem> {
    return this.#systems;
  }

  /** What failed an actor first, as it was thrown: a failure travels without its cause. */
  get thrown(): { readonly error: TroupeError; readonly actor: Address } | null {
    return this.#thrown;
  }

  whereabouts(machine: number): Whereabouts {
    return { hasEnded: this.#options.lives.endWasSeen?.(agentNodeOf(machine)) ?? false, reason: null };
  }

  onExit(handler: ExitHandler): void {
    this.#options.lives.onExit(handler);
  }

  agentOf(machine: number): ProgramSystem {
    const found = this.#systems.get(agentNodeOf(machine));
    assert(found, 'every machine has an agent', { machine });
    return found;
  }

  beginAgent(machine: number, incarnation: number, begun: (system: ProgramSystem) => void): void {
    const node = agentNodeOf(machine);
    const listen = (system: ProgramSystem): void => {
      begun(system);
      system.listen();
    };
    if (incarnation === 1) {
      listen(this.agentOf(machine));
      return;
    }
    if ((this.#wanted.get(node) ?? 1) >= incarnation) return;
    if (!this.#waiting.has(node)) this.#waiting.set(node, []);
    this.#boot(node, incarnation, () => {
      listen(this.#open(node, incarnation).system);
      const waiting = this.#waiting.get(node) ?? [];
      this.#waiting.delete(node);
      for (const run of waiting) run();
    });
  }

  begin(worker: WorkerRank, incarnation: number): void {
    const { layout } = this.#options.job;
    if (incarnation === 1) {
      this.#begin(worker, incarnation);
      return;
    }
    // A lead before this one has asked for it.
    if ((this.#wanted.get(layout.nodeOf(worker)) ?? 1) >= incarnation) return;
    this.#boot(layout.nodeOf(worker), incarnation, () => {
      const waiting = this.#waiting.get(agentNodeOf(layout.machineOf(worker)));
      const run = (): void => {
        if (this.#isWanted(layout.nodeOf(worker), incarnation)) this.#begin(worker, incarnation);
      };
      if (waiting === undefined) run();
      else waiting.push(run);
    });
  }

  /** Ends what is left of a node, and runs when its next life is up, unless another one was asked for meanwhile. */
  #boot(node: NodeId, incarnation: number, run: () => void): void {
    this.#wanted.set(node, incarnation);
    this.#systems.get(node)?.stop();
    this.#options.lives.boot(node, () => {
      if (this.#isWanted(node, incarnation)) run();
    });
  }

  #isWanted(node: NodeId, incarnation: number): boolean {
    return !this.#isOver && this.#wanted.get(node) === incarnation;
  }

  async end(): Promise<void> {
    const { devices, logger } = this.#options;
    this.#isOver = true;
    for (const system of [...this.#systems.values(), ...this.#formerLeads]) system.stop();
    await Promise.allSettled(this.#transports.map((transport) => transport.close(GOODBYE_MS)));
    const closed = await Promise.allSettled(
      devices.map(async (device) => {
        await device.close();
      }),
    );
    for (const each of closed)
      if (each.status === 'rejected')
        logger.warn('device not closed', { error: serializeError(each.reason) });
  }

  #beginLead(life: number, begun: (system: ProgramSystem) => void): void {
    this.#wanted.set(leadNode, life);
    this.#options.lives.boot(leadNode, () => {
      if (!this.#isWanted(leadNode, life)) return;
      this.#formerLeads.push(this.lead);
      const { system } = this.#open(leadNode, life);
      begun(system);
      system.listen();
    });
  }

  #begin(worker: WorkerRank, incarnation: number): void {
    const { devices, tokens, job } = this.#options;
    const { system, life } = this.#open(job.layout.nodeOf(worker), incarnation);
    const own = devices[worker];
    assert(own, 'every worker has its device', { worker });
    const device = life.device?.(own) ?? own;
    this.workers[worker] = beginWorker(system, job, { worker, incarnation, device, tokens });
  }

  /** A life with its ports and a system that has no actors yet. */
  #open(node: NodeId, incarnation: number): { readonly system: ProgramSystem; readonly life: LifePorts } {
    const { topology, lives, logger, observe, mailboxCapacity, unjudged, begun } = this.#options;
    const life = lives.open(nodeId(node), incarnation);
    const system = createJobSystem({
      node,
      topology,
      reports: reportsOf(this.#options.job.layout, node, {
        storeIsBesideLead: this.storeIsBesideLead && node === leadNode,
      }),
      transport: life.transport,
      clock: life.clock,
      logger,
      schedule: (run) => life.schedule(run),
      home: this.#home,
      ...(lives.codec === undefined ? {} : { codec: lives.codec }),
      failed: (error, actor) => (this.#thrown ??= { error, actor }),
      unjudged,
      ...(observe === undefined ? {} : { observe }),
      ...(mailboxCapacity === undefined ? {} : { mailboxCapacity }),
    });
    if (node !== leadNode) this.#systems.get(node)?.stop();
    this.#systems.set(node, system);
    this.#transports.push(life.transport);
    begun?.(system);
    return { system, life };
  }
}
