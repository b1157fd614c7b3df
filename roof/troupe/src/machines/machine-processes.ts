import { addresses, type ProgramSystem } from '@troupe/actors';
import { assert, nodeId, TroupeError } from '@troupe/core';
import type { WaitingEvent } from '@troupe/telemetry';
import { agentNodeOf, Layout, leadNode, type ResolvedTopology, type WorkerRank } from '@troupe/topology';
import { openZmqTransport, type ZmqTransport } from '@troupe/transport';
import { MachineAwayError } from '../errors.ts';
import { openLeadSystem } from '../launch/lead-system.ts';
import { ProcessTally } from '../launch/process-tally.ts';
import { sealed, type RunSeal } from '../launch/protocol.ts';
import type {
  DeviceReport,
  LaunchedOptions,
  LaunchedProcesses,
  Sent,
  WorkerRun,
} from '../launch/launched-processes.ts';
import { MachineDiskError } from '../errors.ts';
import { endedEarly, WorkerExits } from '../launch/worker-exits.ts';
import { systemClock } from '../ports/clock.ts';
import type { ExitHandler, Whereabouts } from '../run/processes.ts';
import type { AgentLink, AgentLinkHandlers } from './agent-link.ts';
import { AgentPipe } from './agent-pipe.ts';
import { ownBuild, type AgentBegin, type AgentLine, type Build, type Listening } from './agent-protocol.ts';
import { AwaitedMachines } from './awaited-machines.ts';
import type { Launcher } from './launcher.ts';
import { machineListening } from './machine-listening.ts';
import { MachineRoll, type MachineHere } from './machine-roll.ts';
import { nodesOfMachine } from './machine-workers.ts';
import { OfferedCorpus } from './offered-corpus.ts';
import { RemoteMachine } from './remote-machine.ts';
import { sealsOf } from './run-seals.ts';

/** Shortest time that machines get to come when a layout begins. */
const MIN_START_MS = 60_000;
/** What an agent gets to let its workers say goodbye. */
const GRACE_MS = 4000;
/** What the lead gets. */
const GOODBYE_MS = 200;

export interface MachineOptions extends LaunchedOptions {
  readonly launcher: Launcher;
  /** Machines are waited for. */
  readonly waiting: (event: WaitingEvent) => void;
}

/**
 * The processes of a run over several machines: the lead here, and an agent on each, which a launcher starts and which forks the workers there.
 *
 * AGP-4: a machine is lost when its agent is, and begins anew with another life of it; the store is beside the lead, so that any of them may be.
 * AGP-5: however this process leaves, agents hear their pipes close.
 */
export class MachineProcesses implements LaunchedProcesses {
  readonly restartsAgents = true;
  readonly storeIsBesideLead = true;
  readonly count: number;
  readonly #topology: ResolvedTopology;
  readonly #options: MachineOptions;
  readonly #layout: Layout;
  readonly #clock = systemClock();
  readonly #seals: readonly RunSeal[];
  readonly #ownSeal: RunSeal;
  readonly #machines: readonly RemoteMachine[];
  readonly #awaited: AwaitedMachines;
  readonly #places = new Map<string, Listening>();
  readonly #build: Build;
  readonly #roll: MachineRoll;
  readonly #tally = new ProcessTally();
  readonly #pids = new Map<string, number>();
  readonly #exits = new WorkerExits();
  readonly #allReady: Promise<void>;
  /** Machines that have found the lead's disk. */
  readonly #onDisk = new Set<number>();
  #transport: ZmqTransport | null = null;
  #opening: Promise<ZmqTransport> | null = null;
  #lead: ProgramSystem | null = null;
  #run: WorkerRun | null = null;
  #corpus: OfferedCorpus | null = null;
  #isOver = false;
  #resolveReady: () => void = () => {};
  #failStart: (error: TroupeError) => void = () => {};

  constructor(topology: ResolvedTopology, options: MachineOptions) {
    const layout = new Layout(topology);
    this.#topology = topology;
    this.#options = options;
    this.#layout = layout;
    this.count = Array.from(layout.nodes()).length;
    const seals = sealsOf(topology, layout);
    this.#ownSeal = seals.lead;
    this.#seals = seals.machines;
    const hosts = topology.machines.map(({ host }) => host);
    this.#build = ownBuild(topology);
    this.#roll = new MachineRoll(hosts, this.#build, this.#isOnLoopback);
    this.#awaited = new AwaitedMachines({
      hosts,
      clock: this.#clock,
      report: options.waiting,
    });
    this.#machines = topology.machines.map((_, machine) => this.#remote(machine));
    this.#allReady = new Promise<void>((resolve, reject) => {
      this.#resolveReady = resolve;
      this.#failStart = reject;
    });
    // Whoever waits for it hears of it.
    this.#allReady.catch(() => {});
  }

  get lead(): ProgramSystem {
    assert(this.#lead !== null, 'the lead has a system when all workers listen');
    return this.#lead;
  }

  /** What this process hears of the ends of others it tells itself. */
  agentOf(): ProgramSystem {
    return this.lead;
  }

  /** On their machines. */
  get pids(): readonly number[] {
    return Array.from(this.#layout.nodes(), (node) => this.#pids.get(this.#layout.nodeOf(node)) ?? -1);
  }

  get devices(): readonly DeviceReport[] {
    return this.#tally.devices;
  }

  get sharesDisk(): boolean {
    return this.#onDisk.size === this.#machines.length;
  }

  sent(): Sent {
    return this.#tally.sent(this.#transport?.stats());
  }

  /** Starts the agents, and opens the lead's sockets; they go on by themselves. */
  async boot(): Promise<void> {
    process.once('exit', this.#leaveNothing);
    for (const machine of this.#machines) machine.start(1);
    const { wire } = this.#topology;
    const opening = openZmqTransport({
      node: nodeId(leadNode),
      incarnation: 1,
      clock: this.#clock,
      logger: this.#options.logger,
      listen: machineListening({
        wire,
        isOnLoopback: this.#isOnLoopback,
        name: null,
        port: wire.port === 'auto' ? null : wire.port,
      })(0),
      ...sealed(this.#ownSeal),
      giveUpMs: 1000 * this.#topology.recovery.linkSeconds,
    });
    // Whatever else fails, the end finds the sockets.
    this.#opening = opening.then((opened) => (this.#transport = opened));
    this.#opening.catch(() => {});
  }

  /**
   * Waits until everybody listens, and opens the lead's system.
   *
   * @throws {TroupeError} TROUPE_WORKER_LOST, TROUPE_MACHINE_DIFFERS, or what a worker could not start for
   */
  async connect(): Promise<void> {
    assert(this.#opening !== null, 'processes boot before they are connected');
    const timer = this.#clock.after(this.#startMs, () => this.#failStart(this.#late()));
    const [transport] = await Promise.all([this.#opening, this.#allReady]).finally(() =>
      this.#clock.cancel(timer),
    );
    if (this.#isOver) return;
    this.#places.set(leadNode, { node: leadNode, incarnation: 1, endpoints: transport.endpoints });
    transport.setPeers((node) => this.#places.get(node)?.endpoints);
    this.#lead = openLeadSystem(this.#topology, {
      ...this.#options,
      layout: this.#layout,
      agents: 'on their machines',
      transport,
      clock: this.#clock,
    });
  }

  tell(run: WorkerRun, pack: (() => string) | null): void {
    this.#run = run;
    this.#corpus = pack === null ? null : new OfferedCorpus(pack);
  }

  onExit(handler: ExitHandler): void {
    this.#exits.onExit(handler);
  }

  beginAgent(machine: number, incarnation: number): void {
    if (incarnation === 1) this.#configure(machine);
    else this.#at(machine).start(incarnation);
  }

  /** The first life of a worker begins with its agent. */
  begin(worker: WorkerRank, incarnation: number): void {
    if (incarnation === 1) return;
    const node = this.#layout.nodeOf(worker);
    this.#at(this.#layout.machineOf(worker)).beginWorker({ node, incarnation });
  }

  whereabouts(machine: number): Whereabouts {
    const { hasEnded, lastReason } = this.#at(machine);
    return { hasEnded, reason: lastReason };
  }

  async end(): Promise<void> {
    this.#isOver = true;
    this.#resolveReady();
    this.#awaited.close();
    this.#lead?.stop();
    this.#options.recorder?.close();
    await Promise.all(this.#machines.map((machine) => machine.end(GRACE_MS)));
    this.#corpus?.close();
    await this.#opening?.catch(() => {});
    await this.#transport?.close(GOODBYE_MS);
    process.off('exit', this.#leaveNothing);
  }

  readonly #leaveNothing = (): void => {
    for (const machine of this.#machines) machine.killNow();
  };

  get #isOnLoopback(): boolean {
    return this.#options.launcher.isOneHost === true;
  }

  /** A run that hardly waits for lost machines lets all of them start. */
  get #startMs(): number {
    return Math.max(MIN_START_MS, 1000 * this.#topology.recovery.waitSeconds);
  }

  #at(machine: number): RemoteMachine {
    const found = this.#machines[machine];
    assert(found, 'a machine is one of the run', { machine });
    return found;
  }

  #hostOf(machine: number): string {
    return this.#topology.machines[machine]?.host ?? '';
  }

  #remote(machine: number): RemoteMachine {
    const { launcher } = this.#options;
    const host = this.#hostOf(machine);
    const ranks = nodesOfMachine(this.#layout, machine);
    return new RemoteMachine(
      {
        host,
        agent: agentNodeOf(machine),
        nodes: ranks.map((rank) => this.#layout.nodeOf(rank)),
        clock: this.#clock,
        isAgentsEnd: (end) => launcher.isAgentsEnd?.(end) ?? false,
        open: (handlers) => this.#open(machine, handlers),
        comesByItself: machine > 0 && launcher.awaitAgent !== undefined,
        begin: (incarnation, lives) => this.#begin(machine, incarnation, lives),
      },
      {
        line: (line) => this.#heard(machine, line),
        listens: (place) => this.#listens(machine, place),
        ready: () => this.#ready(machine),
        lost: (incarnation, reason) => this.#lost(machine, incarnation, reason),
        away: (reason) => this.#away(machine, reason),
        awaited: () => this.#awaited.await(machine),
        came: () => this.#awaited.came(machine),
        printed: (text) => this.#printed(machine, agentNodeOf(machine), text),
      },
    );
  }

  /** Starts the agent of a machine, or waits for it where something else does. */
  #open(machine: number, handlers: AgentLinkHandlers): AgentLink {
    const { launcher } = this.#options;
    return (
      launcher.awaitAgent?.(machine, this.#startMs, handlers) ??
      new AgentPipe(launcher.command(machine, this.#hostOf(machine)), this.#clock, handlers)
    );
  }

  #begin(machine: number, incarnation: number, lives: AgentBegin['lives']): AgentBegin {
    const seal = this.#seals[machine];
    assert(seal, 'every machine has its keys', { machine });
    return {
      type: 'begin',
      build: this.#build,
      run: seal.run,
      machine,
      host: this.#hostOf(machine),
      incarnation,
      lives,
      topology: this.#topology,
      keys: seal.keys,
      isOnLoopback: this.#isOnLoopback,
      port: this.#portOf(machine),
      logLevel: this.#options.logLevel,
      disk: this.#options.disk?.() ?? null,
    };
  }

  /** Behind those of the lead, and of other machines where all of them are one. */
  #portOf(machine: number): number | null {
    const { port } = this.#topology.wire;
    if (port === 'auto') return null;
    const before = this.#isOnLoopback
      ? Array.from({ length: machine }, (_, each) => 1 + nodesOfMachine(this.#layout, each).length)
      : [];
    return port + 2 + 2 * before.reduce((sum, each) => sum + each, 0);
  }

  #lost(machine: number, incarnation: number, reason: string): void {
    if (this.#lead === null)
      this.#away(machine, `${this.#hostOf(machine)} was lost before the run began (${reason})`);
    const body = { node: agentNodeOf(machine), incarnation, reason };
    this.#lead?.tell(addresses.supervisor, 'worker.lost', { body });
  }

  #away(machine: number, reason: string): void {
    this.#refuse(new MachineAwayError(reason, [{ machine, ...this.whereabouts(machine) }]));
  }

  #late(): TroupeError {
    const missing = [...this.#machines.keys()].filter((machine) => !this.#at(machine).isReady);
    const hosts = missing.map((machine) => this.#hostOf(machine)).join(', ');
    return new MachineAwayError(
      `${missing.length} of ${this.#machines.length} machines were not there after ${this.#startMs / 1000} s (${hosts}); recovery.waitSeconds is how long they are waited for, a minute at least`,
      missing.map((machine) => ({ machine, ...this.whereabouts(machine) })),
    );
  }

  #heard(machine: number, line: Exclude<AgentLine, Listening>): void {
    switch (line.type) {
      case 'here':
        this.#check(machine, line);
        return;
      case 'ready':
        this.#tally.ready(line.node, line);
        this.#options.ready();
        return;
      case 'corpus.wanted':
        this.#give(machine, line.from);
        return;
      case 'printed':
        this.#printed(machine, line.node, line.text);
        return;
      case 'evaluating':
        this.#options.evaluating(line.sequence);
        return;
      case 'left':
        this.#tally.left(line);
        return;
      case 'lost':
        this.#exited(line);
        return;
      case 'failed':
        this.#failed(line);
    }
  }

  #give(machine: number, from: number): void {
    if (this.#corpus === null || this.#isOver) return;
    try {
      this.#at(machine).tell({ type: 'corpus.piece', piece: this.#corpus.piece(from) });
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.#options.unjudged(
        new TroupeError(
          'TROUPE_DATA_UNREADABLE',
          `the token ids of this run cannot be packed for ${this.#hostOf(machine)}: ${why}`,
        ),
      );
    }
  }

  #printed(machine: number, node: string, text: string): void {
    const { printed, logLevel } = this.#options;
    if (printed !== undefined) printed(node, `${text}\n`);
    else if (logLevel !== 'silent') process.stderr.write(`${this.#hostOf(machine)}: ${text}\n`);
  }

  #check(machine: number, line: MachineHere & { readonly seesDisk: boolean }): void {
    if (line.seesDisk) this.#onDisk.add(machine);
    else this.#onDisk.delete(machine);
    const problem = this.#roll.come(machine, line) ?? this.#diskLost(machine);
    if (problem !== null) this.#refuse(problem);
  }

  /** Its part would be missing in every checkpoint. */
  #diskLost(machine: number): TroupeError | null {
    if (this.#run?.choices.parts !== true || this.#onDisk.has(machine)) return null;
    return new MachineDiskError(this.#hostOf(machine), this.#options.disk?.()?.root ?? '');
  }

  #refuse(error: TroupeError): void {
    this.#failStart(error);
    if (this.#lead !== null) this.#options.unjudged(error);
  }

  #listens(machine: number, { pid, ...place }: Listening & { readonly pid: number }): void {
    const { node, incarnation, endpoints } = place;
    this.#places.set(node, { node, incarnation, endpoints });
    this.#pids.set(node, pid);
    // The first time all hear of all at once, and of a machine that comes back when all of it listens.
    if (this.#at(machine).isReady) this.#spread([this.#places.get(node) ?? place]);
  }

  #ready(machine: number): void {
    if (this.#lead === null) {
      if (this.#machines.every((each) => each.isReady)) this.#resolveReady();
      return;
    }
    const own = (node: string): boolean =>
      node === agentNodeOf(machine) ||
      nodesOfMachine(this.#layout, machine).some((rank) => this.#layout.nodeOf(rank) === node);
    this.#spread(
      [...this.#places.values()].filter(({ node }) => own(node)),
      machine,
    );
    this.#configure(machine);
  }

  #spread(places: readonly Listening[], but = -1): void {
    this.#transport?.setPeers((node) => this.#places.get(node)?.endpoints);
    for (const [index, machine] of this.#machines.entries())
      if (index !== but) machine.tell({ type: 'places', places });
  }

  #configure(machine: number): void {
    assert(this.#run !== null, 'an agent is configured when the run is known');
    const places = [...this.#places.values()];
    this.#at(machine).tell({ type: 'configure', ...this.#run, places });
  }

  #exited({ node, incarnation, reason }: Extract<AgentLine, { readonly type: 'lost' }>): void {
    if (this.#lead === null) this.#failStart(endedEarly(nodeId(node), reason));
    else this.#exits.tell(nodeId(node), incarnation, reason);
  }

  #failed({
    node,
    incarnation,
    code,
    message,
    retryable,
  }: Extract<AgentLine, { readonly type: 'failed' }>): void {
    this.#failStart(new TroupeError(code, `${node}: ${message}`, { retryable }));
    const body = { actor: node, code, message, retryable, node, incarnation };
    this.#lead?.tell(addresses.supervisor, 'actor.failed', { body });
  }
}
