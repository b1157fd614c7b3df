import { addresses, type ProgramSystem } from '@troupe/actors';
import {
  isThenable,
  runUserCode,
  shownValue,
  UserCodeError,
  userCodeError,
  type Address,
  type Lane,
  type NodeId,
  type Storage,
} from '@troupe/core';
import type { SyncDevice } from '@troupe/kernel-set';
import type { Turn } from '@troupe/runtime';
import {
  FaultPlan,
  simDevice,
  SimulationCrashError,
  SimWorld,
  Trace,
  type Checkers,
  type MemoryStorage,
  type SimDisk,
} from '@troupe/sim';
import type { RunEvent, StepEvent } from '@troupe/telemetry';
import {
  agentNodeOf,
  createPlacement,
  leadNode,
  matchesAddress,
  type ResolvedTopology,
} from '@troupe/topology';
import { createReferenceCodec } from '@troupe/wire';
import { journalPath } from '../run/decision-journal.ts';
import type { LifePorts, Lives } from '../run/lives.ts';
import { simulatedMachines, type SimulatedMachines } from '../simulated-machines.ts';
import type { SimulationOptions } from './simulation-options.ts';
import { checkersOf, damageOf, touchedBy, turnSeen } from './watch.ts';

type Traffic = Record<Lane, { messages: number; bytes: number }>;

/** Of a simulated run's checkpoints, and its journal. */
export const CHECKPOINT_FOLDER = 'run';

/** How a simulated cluster begins. */
interface ClusterStart {
  readonly leadIsApart?: boolean;
  /** Of the lead, as it is when the world begins; null: empty. */
  readonly disk?: MemoryStorage | null;
}

/** The simulated world that a run lives in, the faults that strike it, and the checkers that watch it. */
export class SimulatedCluster {
  readonly world: SimWorld;
  readonly trace: Trace;
  readonly checkers: Checkers;
  readonly plan: FaultPlan;
  /** Everything that the run has reported. */
  readonly events: RunEvent[] = [];
  readonly traffic: Traffic = { control: { messages: 0, bytes: 0 }, data: { messages: 0, bytes: 0 } };
  readonly #topology: ResolvedTopology;
  readonly #options: SimulationOptions;
  readonly #machines: SimulatedMachines;
  readonly #leadIsApart: boolean;
  /** Systems of the present lives; none before the run is mounted. */
  #systems: ReadonlyMap<NodeId, ProgramSystem> = new Map();
  #checks: Promise<void>[] = [];
  #isReached = false;
  readonly #firstStage = addresses.stage({ pp: 0, dp: 0, tp: 0 });

  /** @param leadIsApart - the lead, with the store, has a machine of its own behind those of the run, as in a launched run */
  constructor(
    topology: ResolvedTopology,
    options: SimulationOptions,
    { leadIsApart = false, disk = null }: ClusterStart = {},
  ) {
    this.#topology = topology;
    this.#options = options;
    this.#leadIsApart = leadIsApart;
    this.trace = new Trace(options.keepsTrace ?? false);
    this.#machines = simulatedMachines(topology, { ...options, leadIsApart });
    this.checkers = checkersOf(topology, {
      hasBytes: options.shapesOnly !== true,
      countsRows: options.shapesOnly !== true && options.routesEvenly !== true,
      ...(options.reference === undefined ? {} : { reference: options.reference }),
      ...(options.checkpoints === true ? { journal: () => this.#lastingJournal() } : {}),
    });
    this.world = this.#openWorld(disk);
    this.plan = this.#planFaults();
  }

  /** What lives of nodes run on. */
  get lives(): Lives {
    const { world } = this;
    const isHollow = this.#options.shapesOnly === true;
    return {
      open: (node, incarnation) => this.#open(node, incarnation),
      boot: (node, run) => world.boot(node, run),
      onExit: (handler) => world.onExit(handler),
      restartsLead: !this.#leadIsApart,
      leadIsApart: this.#leadIsApart,
      endWasSeen: (node) => world.endWasSeen(node),
      use: isHollow ? 'shapes' : 'simulate',
      ...(isHollow ? { codec: createReferenceCodec() } : {}),
    };
  }

  /** The disk that checkpoints go to, as who has the store sees it. */
  get storage(): Storage {
    const { world, leadDisk } = this;
    return leadDisk.open(world.life(this.#leadIsApart ? leadNode : agentNodeOf(0)));
  }

  get #leadMachine(): number {
    return this.#leadIsApart ? this.#topology.machines.length : 0;
  }

  /** The disk of the lead's machine. */
  get leadDisk(): SimDisk {
    return this.world.disk(this.#leadMachine);
  }

  /** The same disk, as the present life of the lead sees it: what ends with that life does nothing on it any more. */
  get leadStorage(): Storage {
    return this.leadDisk.open(this.world.life(leadNode));
  }

  #lastingJournal(): Uint8Array | null {
    return this.leadDisk.lasting(journalPath(CHECKPOINT_FOLDER));
  }

  /** Somebody has seen the turn after which the run is over. */
  get isReached(): boolean {
    return this.#isReached;
  }

  get lastStep(): StepEvent | null {
    return this.events.findLast((event) => event.event === 'step') ?? null;
  }

  /** Faults strike the actors of these systems from now on. */
  attach(systems: ReadonlyMap<NodeId, ProgramSystem>): void {
    this.#systems = systems;
  }

  /** Checks that wait for a disk to be read; each is given out once. */
  takeChecks(): readonly Promise<void>[] {
    const taken = this.#checks;
    if (taken.length > 0) this.#checks = [];
    return taken;
  }

  /** Shows a turn to the checkers, to the fault plan and to the program. */
  observe(turn: Turn): unknown {
    const { node, address, event, stateBefore, stateAfter } = turn;
    const { world, plan } = this;
    const { observe, until, calibration } = this.#options;
    const atMs = world.clock.now();
    const seen = turnSeen(turn, atMs, world.life(node).incarnation);
    this.trace.turn(seen);
    this.checkers.see(seen);
    const observed = observe === undefined ? undefined : this.#show(observe, turn, atMs);
    if (until !== undefined) this.#ask(until, turn);
    if (calibration !== undefined) world.life(node).occupy(this.#machines.turnMsOf(node));
    plan.turned(address, stateBefore, stateAfter);
    if (event.type === 'step.open' && address === this.#firstStage) plan.stepOpened(event.step);
    return observed;
  }

  #show(observe: NonNullable<SimulationOptions['observe']>, turn: Turn, atMs: number): unknown {
    return runUserCode('the option observe', () => observe(turn, atMs));
  }

  #ask(until: NonNullable<SimulationOptions['until']>, turn: Turn): void {
    const answer: unknown = runUserCode('the option until', () => until(turn));
    if (isThenable(answer))
      throw new UserCodeError(
        'the option until',
        `returned ${shownValue(answer)}, expected true or false; it answers at once`,
      );
    if (answer) this.#isReached = true;
  }

  /** Keeps an event, and has a checkpoint checked as it would be after a loss of power now. */
  see(event: RunEvent): void {
    this.events.push(event);
    const atMs = this.world.clock.now();
    if (event.event === 'step') this.checkers.see({ type: 'step', atMs, ...event });
    if (event.event !== 'checkpoint') return;
    const { path } = event;
    const durable = this.leadDisk.afterPowerLoss();
    this.#checks.push(
      damageOf(durable, path).then((damage) => this.checkers.see({ type: 'checkpoint', atMs, path, damage })),
    );
  }

  /** Tells the program how far the run is; virtual time waits for it. */
  async progress(): Promise<void> {
    const { progress } = this.#options;
    if (progress === undefined) return;
    const { clock } = this.world;
    try {
      const told: unknown = progress({
        virtualMs: clock.now(),
        step: this.lastStep?.step ?? 0,
        numEvents: clock.numEvents,
        struck: this.plan.struck,
      });
      await told;
    } catch (thrown) {
      throw userCodeError('the option progress', thrown);
    }
  }

  #openWorld(disk: MemoryStorage | null): SimWorld {
    const { seed, shapesOnly, alter, disk: model, plant } = this.#options;
    return new SimWorld(this.trace, {
      seed,
      machineOf: this.#machines.machineOf,
      copies: shapesOnly !== true,
      link: this.#machines.linkOf,
      arrived: (_packet, arrival, changed) => {
        const lane = this.traffic[arrival.lane];
        lane.messages++;
        lane.bytes += arrival.bytes;
        this.checkers.see(changed.length === 0 ? arrival : { ...arrival, changed });
      },
      ...(alter === undefined ? {} : { alter }),
      ...(model === undefined ? {} : { disk: model }),
      ...(disk === null ? {} : { files: new Map([[this.#leadMachine, disk]]) }),
      ...(plant?.disk === undefined ? {} : { diskPlant: plant.disk }),
      ...(plant?.network === undefined ? {} : { plant: plant.network }),
    });
  }

  #planFaults(): FaultPlan {
    const { clock } = this.world;
    const { nodeOf } = createPlacement(this.#topology);
    const crashActor = (address: string): void => {
      const node = nodeOf(address);
      const crash = new SimulationCrashError(address);
      this.world.life(node).run(() => this.#systems.get(node)?.fail(address as Address, crash));
    };
    return new FaultPlan(clock, this.#options.faults ?? this.#topology.faults, {
      matches: matchesAddress,
      strike: (fault) => {
        const touches = touchedBy(fault, this.#topology);
        this.checkers.see({ type: 'fault', atMs: clock.now(), fault, touches });
        this.world.strike(fault, { crashActor });
      },
    });
  }

  #open(node: NodeId, incarnation: number): LifePorts {
    const { world } = this;
    const ports = world.open(node, incarnation);
    const life = world.life(node);
    const { plant } = this.#options;
    return {
      ...ports,
      device: (body) => {
        const real = plant?.device?.(body as SyncDevice, () => life.slowness > 1) ?? (body as SyncDevice);
        const device = simDevice(real, life, () => world.clock.now(), this.#machines.speedOf(node));
        world.setDevice(life, device);
        return plant?.memory?.(device) ?? device;
      },
    };
  }
}
