import { agentNodeOf, type Layout, type WorkerRank } from '@troupe/topology';
import { systemClock } from '../ports/clock.ts';
import type { NodeEndpoints, WorkerMessage } from '../launch/protocol.ts';
import { WorkerProcess } from '../launch/worker-process.ts';
import type { AgentBegin, AgentLine, LeadLine, Life, Listening } from './agent-protocol.ts';
import { machineListening } from './machine-listening.ts';
import type { MachineOutput } from './machine-output.ts';
import { WorkerGuard } from './worker-guard.ts';

/** What a worker gets to say goodbye before it is killed. */
const GRACE_MS = 1000;

/** Workers and hosts of a machine, in the order in which they have their ports. */
export const nodesOfMachine = (layout: Layout, machine: number): readonly WorkerRank[] =>
  Array.from(layout.nodes()).filter((node) => layout.machineOf(node) === machine);

/** What a worker is told when everybody can be reached. */
type Configuration = Pick<Extract<LeadLine, { readonly type: 'configure' }>, 'choices' | 'data'>;

/**
 * The worker processes of this machine, forked by its agent.
 *
 * AGP-2: when the agent ends, however it ends, they do: they hear their pipe close, and those that cannot hear are ended by a guard.
 */
export class MachineWorkers {
  readonly #begin: AgentBegin;
  readonly #layout: Layout;
  readonly #say: (line: AgentLine) => void;
  readonly #output: MachineOutput;
  readonly #clock = systemClock();
  readonly #guard = new WorkerGuard();
  readonly #listens: ReturnType<typeof machineListening>;
  /** The present life of each, by its node. */
  readonly #workers = new Map<string, { readonly process: WorkerProcess; readonly incarnation: number }>();
  /** The life that was asked for last. */
  readonly #wanted = new Map<string, number>();
  readonly #places = new Map<string, NodeEndpoints>();
  #run: Configuration | null = null;
  #sent = { bytes: 0, messages: 0 };
  #isOver = false;

  constructor(
    begin: AgentBegin,
    layout: Layout,
    { say, output }: { readonly say: (line: AgentLine) => void; readonly output: MachineOutput },
  ) {
    this.#begin = begin;
    this.#layout = layout;
    this.#say = say;
    this.#output = output;
    const { topology, isOnLoopback, host, port } = begin;
    // What comes from the launcher has a place in a row, and no name that could be looked up.
    const name = topology.joining === null ? host : null;
    this.#listens = machineListening({ wire: topology.wire, isOnLoopback, name, port });
  }

  /** Where the agent itself listens. */
  get ownListening(): ReturnType<ReturnType<typeof machineListening>> {
    return this.#listens(0);
  }

  placeOf(node: string): NodeEndpoints | undefined {
    return this.#places.get(node);
  }

  start(): void {
    for (const life of this.#begin.lives) this.#fork(life);
  }

  /** Ends what is left of a worker's process, which may only be stopped, and forks its next life. */
  async restart(life: Life): Promise<void> {
    const { node, incarnation } = life;
    this.#wanted.set(node, incarnation);
    await this.#workers.get(node)?.process.kill();
    if (!this.#isOver && this.#wanted.get(node) === incarnation) this.#fork(life);
  }

  find(places: readonly Listening[]): void {
    for (const { node, endpoints } of places) this.#places.set(node, { node, ...endpoints });
    const endpoints = [...this.#places.values()];
    for (const { process } of this.#workers.values()) process.send({ type: 'endpoints', endpoints });
  }

  configure(run: Configuration): void {
    this.#run = run;
    for (const node of this.#workers.keys()) if (this.#places.has(node)) this.#configure(node);
  }

  /** Asks all to leave, ends those that do not, and tells what they have sent. */
  async end(): Promise<{ readonly bytes: number; readonly messages: number }> {
    this.#isOver = true;
    await Promise.all(
      Array.from(this.#workers.values(), ({ process }) => process.end(this.#clock, GRACE_MS)),
    );
    // All are buried: their ids may soon be those of others.
    this.#guard.watch([]);
    return this.#sent;
  }

  killNow(): void {
    this.#isOver = true;
    for (const { process } of this.#workers.values()) process.killNow();
  }

  #fork({ node, incarnation }: Life): void {
    const { machine, run, keys, logLevel, topology } = this.#begin;
    const ranks = nodesOfMachine(this.#layout, machine);
    const index = ranks.findIndex((each) => this.#layout.nodeOf(each) === node);
    const rank = ranks[index];
    if (rank === undefined) throw new RangeError(`${agentNodeOf(machine)} has no ${node}`);
    this.#places.delete(node);
    this.#wanted.set(node, incarnation);
    const worker = new WorkerProcess(
      {
        rank,
        node,
        incarnation,
        listen: this.#listens(index + 1),
        seal: { run, keys },
        linkMs: 1000 * topology.recovery.linkSeconds,
        agents: 'on their machines',
        logLevel,
      },
      null,
      {
        message: (message) => this.#heard({ node, incarnation }, message),
        exited: (reason) => this.#exited({ node, incarnation }, reason),
        printed: (text) => this.#output.print(node, text),
      },
    );
    this.#workers.set(node, { process: worker, incarnation });
    this.#watch();
  }

  #watch(): void {
    // One that could not be forked has no id, and -1 would mean all processes there are.
    const pids = Array.from(this.#workers.values(), ({ process }) => process.pid);
    this.#guard.watch(pids.filter((pid) => pid > 1));
  }

  #exited(life: Life, reason: string): void {
    if (this.#workers.get(life.node)?.incarnation === life.incarnation) {
      this.#workers.delete(life.node);
      this.#output.ended(life.node);
      this.#watch();
    }
    if (!this.#isOver) this.#say({ type: 'lost', ...life, reason });
  }

  #heard(life: Life, message: WorkerMessage): void {
    if (message.type === 'listening') {
      const { node: _node, ...endpoints } = message.endpoints;
      this.#places.set(life.node, message.endpoints);
      const pid = this.#workers.get(life.node)?.process.pid ?? -1;
      this.#say({ type: 'listening', ...life, pid, endpoints });
      this.#configure(life.node);
    } else if (message.type === 'left') {
      const { bytes, messages } = this.#sent;
      this.#sent = { bytes: bytes + message.bytesSent, messages: messages + message.messagesSent };
    } else if (message.type === 'evaluating') this.#say(message);
    else this.#say({ ...message, ...life });
  }

  #configure(node: string): void {
    if (this.#run === null) return;
    const endpoints = [...this.#places.values()];
    const { topology } = this.#begin;
    this.#workers.get(node)?.process.send({ type: 'configure', topology, ...this.#run, endpoints });
  }
}
