import { assert, nodeId, prng, type Clock, type NodeId, type Transport } from '@troupe/core';
import { DEFAULT_FAULT_FACTOR, DEFAULT_FAULT_MS, type Fault } from './faults.ts';
import type { SimDevice } from './device.ts';
import { SimDisk, type DiskModel, type DiskPlant } from './disk.ts';
import type { MemoryStorage } from './memory-storage.ts';
import { SimNetwork, type NetworkOptions } from './network.ts';
import { SimProcess } from './process.ts';
import type { Trace } from './trace.ts';
import { VirtualClock } from './virtual-clock.ts';

export interface WorldOptions extends NetworkOptions {
  /** Position of a node's machine. */
  readonly machineOf: (node: NodeId) => number;
  /** Time from the start of a process to its first event, milliseconds. Default 200. */
  readonly bootMs?: number;
  /** Of every machine's disk, over the defaults. */
  readonly disk?: Partial<DiskModel>;
  readonly diskPlant?: DiskPlant;
  /** What lies on disks of machines when the world begins, by machine. */
  readonly files?: ReadonlyMap<number, MemoryStorage>;
}

/** What a life of a node gets from the world. */
export interface LifePorts {
  readonly clock: Clock;
  readonly transport: Transport;
  schedule(run: () => void): void;
}

/** Told by a machine that one of its processes ended, as a parent hears of its child. */
export type ExitHandler = (node: NodeId, incarnation: number, reason: string) => void;

/** What the world cannot do to itself: these live above the ports. */
export interface FaultHooks {
  /** Fails an actor in its present life. */
  readonly crashActor: (address: string) => void;
}

/**
 * All machines of a simulated cluster: processes and their lives, clocks, links, and the faults that strike them.
 *
 * WLD-1: the world is a function of the seed and of what runs in it; nothing real (time, chance, sockets) comes in.
 */
export class SimWorld {
  readonly clock = new VirtualClock();
  readonly network: SimNetwork;
  readonly #options: WorldOptions;
  readonly #lives = new Map<NodeId, SimProcess>();
  readonly #disks = new Map<number, SimDisk>();
  readonly #devices = new Map<SimProcess, SimDevice>();
  /** Virtual time before which nothing can be started on a node; ∞: never. */
  readonly #downUntilMs = new Map<NodeId, number>();
  /** Nodes whose last life ended without anybody seeing it. */
  readonly #unseen = new Set<NodeId>();
  readonly #exits: ExitHandler[] = [];

  constructor(trace: Trace, options: WorldOptions) {
    this.#options = options;
    this.network = new SimNetwork(this.clock, trace, options);
  }

  /** Begins a life of a node. */
  open(node: NodeId, incarnation: number): LifePorts {
    const { clock } = this;
    const process = new SimProcess(node, incarnation, clock);
    this.#lives.set(node, process);
    // A system schedules the same function again and again: one is made for it, not one each time.
    let scheduled: (() => void) | null = null;
    let runs: () => void = () => {};
    return {
      clock: process.clock,
      transport: this.network.connect(process),
      schedule: (run) => {
        if (run !== scheduled) {
          scheduled = run;
          runs = () => process.run(run);
        }
        clock.after(0, runs);
      },
    };
  }

  /** Runs when a new process of a node is up: after its boot time, once its machine is there again. Never when it is gone for good. */
  boot(node: NodeId, run: () => void): void {
    const downUntilMs = this.#downUntilMs.get(node) ?? 0;
    if (downUntilMs === Number.POSITIVE_INFINITY) return;
    this.clock.after(Math.max(0, downUntilMs - this.clock.now()) + (this.#options.bootMs ?? 200), run);
  }

  /** Told of every process that ended, unless its machine ended with it. */
  onExit(handler: ExitHandler): void {
    this.#exits.push(handler);
  }

  life(node: NodeId): SimProcess {
    const found = this.#lives.get(node);
    assert(found, 'a node lives before something happens to it', { node });
    return found;
  }

  /** Whether who started a node has seen its end. */
  endWasSeen(node: NodeId): boolean {
    return !this.life(node).isAlive && !this.#unseen.has(node);
  }

  /** Whether promises of a disk may be settling since the last look. */
  takeTouched(): boolean {
    if (this.#disks.size === 0) return false;
    let was = false;
    for (const disk of this.#disks.values()) was = disk.takeTouched() || was;
    return was;
  }

  /** The disk of a machine. */
  disk(machine: number): SimDisk {
    const known = this.#disks.get(machine);
    if (known !== undefined) return known;
    const draws = prng({ seed: this.#options.seed, purpose: `sim.disk.${machine}` });
    const { disk: model, diskPlant, files } = this.#options;
    const disk = new SimDisk(this.clock, draws, model, { plant: diskPlant, files: files?.get(machine) });
    this.#disks.set(machine, disk);
    return disk;
  }

  get nodes(): readonly NodeId[] {
    return [...this.#lives.keys()];
  }

  setDevice(process: SimProcess, device: SimDevice): void {
    this.#devices.set(process, device);
  }

  /** The devices of the present lives, with the nodes that have one. */
  *devices(): Generator<readonly [NodeId, SimDevice]> {
    for (const [node, life] of this.#lives) {
      const device = this.#devices.get(life);
      if (device !== undefined) yield [node, device];
    }
  }

  /** Strikes now. */
  strike(fault: Fault, hooks: FaultHooks): void {
    const { kind } = fault;
    const forMs = fault.forMs ?? DEFAULT_FAULT_MS;
    const factor = fault.factor ?? DEFAULT_FAULT_FACTOR;
    this.network.note(this.nodes[0] ?? nodeId('world'), `fault ${kind} ${fault.target}`);
    if (fault.target.includes(',') || kind === 'partition' || kind === 'clog') {
      this.#strikeLinks(fault, forMs, factor);
      return;
    }
    const [role = '', index = ''] = fault.target.split('/');
    if (role === 'disk') {
      this.disk(Number(index)).strike(fault);
      if (kind === 'lost-unsynced') this.#crashMachine(Number(index), fault.restartAfterMs ?? 0);
    } else if (role === 'machine') {
      for (const process of this.#processesOf(Number(index)))
        this.#strikeProcess(process, fault, forMs, factor);
      if (kind === 'crash') this.#crashMachine(Number(index), fault.restartAfterMs ?? 0);
    } else if (this.#lives.has(nodeId(fault.target))) {
      this.#strikeProcess(this.life(nodeId(fault.target)), fault, forMs, factor);
    } else hooks.crashActor(fault.target);
  }

  /** Ends a process now: `closed`, its peers see the connection close; `silent`, they see nothing. */
  kill(process: SimProcess, notice: 'closed' | 'silent', restartAfterMs: number): void {
    if (!process.isAlive) return;
    process.kill();
    const upMs = restartAfterMs < 0 ? Number.POSITIVE_INFINITY : this.clock.now() + restartAfterMs;
    this.#downUntilMs.set(process.node, upMs);
    this.network.died(process, notice);
    if (notice === 'silent') this.#unseen.add(process.node);
    else this.#unseen.delete(process.node);
    if (notice === 'silent') return;
    const parent = this.#lives.get(nodeId(`agent/${this.#options.machineOf(process.node)}`));
    this.clock.after(0, () => {
      for (const exited of this.#exits)
        parent?.run(() => exited(process.node, process.incarnation, 'killed'));
    });
  }

  #strikeProcess(process: SimProcess, fault: Fault, forMs: number, factor: number): void {
    if (!process.isAlive) return;
    if (fault.kind === 'crash' && !fault.target.startsWith('machine'))
      for (const each of this.#childrenOf(process)) this.kill(each, 'closed', fault.restartAfterMs ?? 0);
    if (fault.kind === 'hang') {
      process.hang(forMs);
      this.network.hangs(process, forMs);
    }
    if (fault.kind === 'slow') process.slow(factor, forMs);
    if (fault.kind === 'skew') process.skew(factor, forMs);
    if (fault.kind === 'nan') this.#devices.get(process)?.poison();
  }

  #strikeLinks(fault: Fault, forMs: number, factor: number): void {
    const [from = '', to] = fault.target.split(',');
    const node = nodeId(from);
    const isMachine = from.startsWith('machine/');
    const inside = isMachine
      ? this.#processesOf(Number(from.split('/')[1])).map((each) => each.node)
      : [node];
    const peers = to === undefined ? this.nodes.filter((each) => !inside.includes(each)) : [nodeId(to)];
    for (const one of inside) {
      for (const peer of peers) {
        this.#strikeLink(fault, one, peer, forMs, factor);
        if (
          fault.oneWay !== true &&
          fault.kind !== 'drop' &&
          fault.kind !== 'duplicate' &&
          fault.kind !== 'corrupt'
        )
          this.#strikeLink(fault, peer, one, forMs, factor);
      }
    }
  }

  #strikeLink(fault: Fault, from: NodeId, to: NodeId, forMs: number, factor: number): void {
    const { kind } = fault;
    if (kind === 'partition') this.network.partition(from, to, forMs);
    else if (kind === 'delay') this.network.impede(from, to, 'latency', factor, forMs);
    else if (kind === 'clog') this.network.impede(from, to, 'bandwidth', factor, forMs);
    else if (kind === 'drop' || kind === 'duplicate' || kind === 'corrupt') this.network.mar(from, to, kind);
  }

  #processesOf(machine: number): readonly SimProcess[] {
    return [...this.#lives.values()].filter(({ node }) => this.#options.machineOf(node) === machine);
  }

  /** What ends with a process: nothing outlives the agent of its machine. */
  #childrenOf(process: SimProcess): readonly SimProcess[] {
    return process.node.startsWith('agent/')
      ? this.#processesOf(this.#options.machineOf(process.node))
      : [process];
  }

  #crashMachine(machine: number, restartAfterMs: number): void {
    for (const process of this.#processesOf(machine)) this.kill(process, 'silent', restartAfterMs);
  }
}
