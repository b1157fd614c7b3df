import {
  agentNode,
  type Job,
  type MountedWorker,
  type ProgramSystem,
  type TokenSource,
} from '@troupe/actors';
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
import { defaultHome, type ResolvedTopology, type WorkerRank } from '@troupe/topology';
import { createJobSystem } from '../job-system.ts';
import type { Lives, LifePorts } from './lives.ts';
import type { ExitHandler, Processes } from './processes.ts';
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
  readonly agent: ProgramSystem;
  /** What is mounted now, by rank. */
  readonly workers: MountedWorker[] = [];
  readonly #options: HostedOptions;
  readonly #home: ReturnType<typeof defaultHome>;
  readonly #systems = new Map<NodeId, ProgramSystem>();
  readonly #transports: Transport[] = [];
  /** The life of a node that was asked for last. */
  readonly #wanted = new Map<NodeId, number>();
  #thrown: { readonly error: TroupeError; readonly actor: Address } | null = null;
  #isOver = false;

  constructor(options: HostedOptions) {
    this.#options = options;
    this.#home = remembered(defaultHome(options.topology));
    this.agent = this.#open(agentNode, 1).system;
  }

  /** Systems of the present lives, the agent's first. */
  get systems(): ReadonlyMap<NodeId, ProgramSystem> {
    return this.#systems;
  }

  /** What failed an actor first, as it was thrown: a failure travels without its cause. */
  get thrown(): { readonly error: TroupeError; readonly actor: Address } | null {
    return this.#thrown;
  }

  onExit(handler: ExitHandler): void {
    this.#options.lives.onExit(handler);
  }

  begin(worker: WorkerRank, incarnation: number): void {
    const node = this.#options.job.layout.nodeOf(worker);
    this.#wanted.set(node, incarnation);
    if (incarnation === 1) return this.#begin(worker, incarnation);
    this.#systems.get(node)?.stop();
    this.#options.lives.boot(node, () => {
      if (!this.#isOver && this.#wanted.get(node) === incarnation) this.#begin(worker, incarnation);
    });
  }

  async end(): Promise<void> {
    const { devices, logger } = this.#options;
    this.#isOver = true;
    for (const system of this.#systems.values()) system.stop();
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
    this.#systems.get(node)?.stop();
    this.#systems.set(node, system);
    this.#transports.push(life.transport);
    begun?.(system);
    return { system, life };
  }
}
