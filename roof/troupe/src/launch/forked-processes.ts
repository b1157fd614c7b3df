import { rmSync } from 'node:fs';
import { addresses, type ProgramSystem } from '@troupe/actors';
import { assert, nodeId, TroupeError, type NodeId } from '@troupe/core';
import { Layout, leadNode, type ResolvedTopology, type WorkerRank } from '@troupe/topology';
import { openZmqTransport, type ZmqTransport } from '@troupe/transport';
import { systemClock } from '../ports/clock.ts';
import type { ExitHandler } from '../run/processes.ts';
import type { LaunchOptions } from './launch-options.ts';
import { openLeadSystem } from './lead-system.ts';
import type {
  DeviceReport,
  LaunchedOptions,
  LaunchedProcesses,
  Sent,
  WorkerRun,
} from './launched-processes.ts';
import { listenAs, type ListeningPlan } from './listening.ts';
import { ProcessTally } from './process-tally.ts';
import type { NodeEndpoints, WorkerMessage } from './protocol.ts';
import { makeSocketFolder } from './socket-folder.ts';
import { endedEarly, WorkerExits } from './worker-exits.ts';
import { WorkerProcess } from './worker-process.ts';

/** What a worker gets to say goodbye before it is killed. */
const GRACE_MS = 1000;
/** What the agent gets. */
const GOODBYE_MS = 200;

export type ForkedOptions = LaunchedOptions & Pick<LaunchOptions, 'spare' | 'profile'>;

/**
 * Worker processes of this machine, forked by the agent's, which reaches them over ZeroMQ.
 *
 * FRK-1: a worker listens where its previous life did, so peers that dialled that one find it.
 * FRK-2: however this process leaves, unless it is killed, it leaves no worker and no socket; workers of one that is killed leave when
 * their pipe closes.
 */
export class ForkedProcesses implements LaunchedProcesses {
  readonly restartsAgents = false;
  readonly storeIsBesideLead = true;
  readonly #topology: ResolvedTopology;
  readonly #layout: Layout;
  /** Names of workers and hosts, by rank. */
  readonly #nodes: readonly NodeId[];
  readonly #options: ForkedOptions;
  readonly #clock = systemClock();
  /** The present life of every worker, by rank. */
  readonly #workers: WorkerProcess[] = [];
  /** Lives that have ended or are about to. */
  readonly #earlier: Promise<void>[] = [];
  readonly #listening = new Map<number, NodeEndpoints>();
  readonly #tally = new ProcessTally();
  readonly #exits = new WorkerExits();
  readonly #allListen: Promise<void>;
  #plan: ListeningPlan | null = null;
  #opening: Promise<ZmqTransport> | null = null;
  #transport: ZmqTransport | null = null;
  #lead: ProgramSystem | null = null;
  #run: WorkerRun | null = null;
  #isOver = false;
  #resolveListening: () => void = () => {};
  #failStart: (error: TroupeError) => void = () => {};

  constructor(topology: ResolvedTopology, options: ForkedOptions) {
    const layout = new Layout(topology);
    this.#topology = topology;
    this.#layout = layout;
    this.#nodes = Array.from(layout.nodes(), (node) => layout.nodeOf(node));
    this.#options = options;
    this.#allListen = new Promise<void>((resolve, reject) => {
      this.#resolveListening = resolve;
      this.#failStart = reject;
    });
    // Whoever waits for it hears of it.
    this.#allListen.catch(() => {});
  }

  get lead(): ProgramSystem {
    assert(this.#lead !== null, 'the lead has a system when all workers listen');
    return this.#lead;
  }

  /** All of them are beside the lead. */
  agentOf(): ProgramSystem {
    return this.lead;
  }

  beginAgent(machine: number, incarnation: number, begun: (system: ProgramSystem) => void): void {
    assert(incarnation === 1, 'an agent beside the lead lives as long', { machine });
    begun(this.lead);
  }

  get count(): number {
    return this.#nodes.length;
  }

  get pids(): readonly number[] {
    return this.#workers.map((worker) => worker.pid);
  }

  /** Of the workers that have opened theirs. */
  get devices(): readonly DeviceReport[] {
    return this.#tally.devices;
  }

  /** What all processes have put on the wire, as far as they have told. */
  sent(): Sent {
    return this.#tally.sent(this.#transport?.stats());
  }

  /** Forks the workers and opens the agent's sockets; they go on by themselves. */
  async boot(): Promise<void> {
    const socketFolder = await makeSocketFolder();
    const { port } = this.#topology.wire;
    const plan = { socketFolder, port: port === 'auto' ? null : port };
    this.#plan = plan;
    process.once('exit', this.#leaveNothing);
    for (const rank of this.#nodes.keys()) this.#workers.push(this.#fork(rank, 1, plan));
    const opening = openZmqTransport({
      node: nodeId(leadNode),
      incarnation: 1,
      clock: this.#clock,
      logger: this.#options.logger,
      listen: listenAs(plan, 0),
    });
    // Whatever else fails, the end finds the sockets.
    this.#opening = opening.then((opened) => (this.#transport = opened));
    this.#opening.catch(() => {});
  }

  /**
   * Waits until everybody can be reached, and opens the agent's system.
   *
   * @throws {TroupeError} TROUPE_WORKER_LOST, or what a worker could not start for
   */
  async connect(): Promise<void> {
    assert(this.#opening !== null, 'processes boot before they are connected');
    const [transport] = await Promise.all([this.#opening, this.#allListen]);
    if (this.#isOver) return;
    transport.setPeers((node) => this.#places().find((place) => place.node === node));
    this.#lead = openLeadSystem(this.#topology, {
      ...this.#options,
      layout: this.#layout,
      agents: 'beside the lead',
      transport,
      clock: this.#clock,
    });
  }

  /** Says what the run is, before the first worker begins. */
  tell(run: WorkerRun): void {
    this.#run = run;
  }

  onExit(handler: ExitHandler): void {
    this.#exits.onExit(handler);
  }

  begin(worker: WorkerRank, incarnation: number): void {
    const found = this.#workers[worker];
    assert(found && this.#plan !== null, 'every worker was forked', { worker });
    if (incarnation === 1) this.#configure(found);
    else this.#earlier.push(this.#replace(found, incarnation, this.#plan));
  }

  async end(): Promise<void> {
    this.#isOver = true;
    this.#resolveListening();
    this.#lead?.stop();
    this.#options.recorder?.close();
    await Promise.all(this.#earlier);
    await Promise.all(this.#workers.map((worker) => worker.end(this.#clock, GRACE_MS)));
    await this.#opening?.catch(() => {});
    await this.#transport?.close(GOODBYE_MS);
    this.#leaveNothing();
    process.off('exit', this.#leaveNothing);
  }

  readonly #leaveNothing = (): void => {
    for (const worker of this.#workers) worker.killNow();
    if (this.#plan !== null) rmSync(this.#plan.socketFolder, { recursive: true, force: true });
  };

  #places(): readonly NodeEndpoints[] {
    const transport = this.#transport;
    const own = transport === null ? [] : [{ node: leadNode, ...transport.endpoints }];
    return [...this.#listening.values(), ...own];
  }

  #nodeOf(rank: number): NodeId {
    const node = this.#nodes[rank];
    assert(node, 'a process is one of the run', { rank });
    return node;
  }

  #fork(rank: number, incarnation: number, plan: ListeningPlan): WorkerProcess {
    const { logLevel, profile, spare = null, printed } = this.#options;
    const node = this.#nodeOf(rank);
    const worker = {
      rank,
      node,
      incarnation,
      listen: listenAs(plan, rank + 1),
      seal: null,
      agents: 'beside the lead' as const,
      logLevel,
      ...(profile === undefined ? {} : { profile }),
    };
    return new WorkerProcess(worker, spare, {
      message: (message) => this.#heard(rank, incarnation, message),
      exited: (reason) => this.#exited(rank, incarnation, reason),
      printed: printed && ((text) => printed(node, text)),
    });
  }

  #configure(worker: WorkerProcess): void {
    assert(this.#run !== null, 'a worker is configured when the run is known');
    const endpoints = this.#places();
    worker.send({ type: 'configure', topology: this.#topology, ...this.#run, endpoints });
  }

  /** Ends what is left of a worker's process, which may only be stopped, and forks its next life. */
  async #replace(worker: WorkerProcess, incarnation: number, plan: ListeningPlan): Promise<void> {
    await worker.kill();
    const { rank } = worker;
    if (!this.#isOver && this.#workers[rank] === worker)
      this.#workers[rank] = this.#fork(rank, incarnation, plan);
  }

  #exited(rank: number, incarnation: number, reason: string): void {
    const node = this.#nodeOf(rank);
    if (this.#lead === null) this.#failStart(endedEarly(node, reason));
    else this.#exits.tell(node, incarnation, reason);
  }

  #heard(rank: number, incarnation: number, message: WorkerMessage): void {
    if (message.type === 'listening') this.#listens(rank, incarnation, message.endpoints);
    else if (message.type === 'evaluating') this.#options.evaluating(message.sequence);
    else if (message.type === 'left') this.#tally.left(message);
    else if (message.type === 'ready') {
      this.#tally.ready(this.#nodeOf(rank), message);
      this.#options.ready();
    } else this.#failed(rank, incarnation, message);
  }

  #listens(rank: number, incarnation: number, endpoints: NodeEndpoints): void {
    this.#listening.set(rank, endpoints);
    const worker = this.#workers[rank];
    if (incarnation > 1 && worker !== undefined) this.#configure(worker);
    else if (this.#listening.size === this.#nodes.length) this.#resolveListening();
  }

  #failed(
    rank: number,
    incarnation: number,
    { code, message, retryable }: Extract<WorkerMessage, { type: 'failed' }>,
  ): void {
    const node = this.#nodeOf(rank);
    this.#failStart(new TroupeError(code, message, { retryable }));
    const body = { actor: node, code, message, retryable, node, incarnation };
    this.#lead?.tell(addresses.supervisor, 'actor.failed', { body });
  }
}
