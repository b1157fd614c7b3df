import { addresses } from '@troupe/actors';
import { inlineHasher } from '@troupe/checkpoint';
import type { Fault, Lane, NodeId, SyncDevice } from '@troupe/core';
import type { ActorSystem, Turn } from '@troupe/runtime';
import {
  FaultPlan,
  simDevice,
  SimulationCrashError,
  SimWorld,
  Trace,
  type DeviceSpeed,
  type DiskModel,
  type DiskPlant,
  type LinkModel,
  type NetworkOptions,
  type ReferenceStep,
  type StruckFault,
  type TraceLine,
  type Violation,
} from '@troupe/sim';
import type { RunEvent } from '@troupe/telemetry';
import { createPlacement, matchesAddress, type ResolvedTopology } from '@troupe/topology';
import { createReferenceCodec } from '@troupe/wire';
import type { Calibration } from './calibration.ts';
import type { RunResult } from './run-result.ts';
import { simulatedMachines } from './simulated-machines.ts';
import { drive } from './simulation/drive.ts';
import { checkersOf, damageOf, packetSeen, touchedBy, turnSeen } from './simulation/watch.ts';
import { startCluster, type ClusterOptions } from './start-cluster.ts';

export interface SimulationOptions
  extends Pick<NetworkOptions, 'alter'>, Pick<ClusterOptions, 'stopAfter' | 'gate' | 'expert' | 'tokens'> {
  /** Of the network's draws; the model's own seed is the topology's. */
  readonly seed: number;
  /** A body whose kernels run inside the call, one a replica. */
  readonly openDevice: (dp: number) => Promise<SyncDevice>;
  /** The devices hold nothing ({@link openHollowDevice}): bytes are not copied, rows and losses not judged. Default false. */
  readonly shapesOnly?: boolean;
  /** Some devices route without looking at logits, so rows are not held against what gates counted. Default false. */
  readonly routesEvenly?: boolean;
  /** What this machine was measured to cost, in place of what the topology says of devices. */
  readonly calibration?: Calibration;
  /** Of every device, over what the topology says. */
  readonly speed?: Partial<DeviceSpeed>;
  /** Of every link, over what the topology says. */
  readonly link?: Partial<LinkModel>;
  readonly disk?: Partial<DiskModel>;
  /** Writes checkpoints to the simulated disk of the first machine. Default false. */
  readonly checkpoints?: boolean;
  /** Default: the topology's. */
  readonly faults?: readonly Fault[];
  /** The same run without faults: losses must equal its, bit for bit. */
  readonly reference?: readonly ReferenceStep[];
  /** Keeps every line of the trace, to look for a divergence. Default false. */
  readonly keepsTrace?: boolean;
  /** Sees every turn, with virtual time. */
  readonly observe?: (turn: Turn, atMs: number) => void;
  /** Called about every 256 events. */
  readonly progress?: (progress: SimulationProgress) => void;
  /** True: the run is over after this turn. */
  readonly until?: (turn: Turn) => boolean;
  /** Virtual time after which a run that has not ended is given up, milliseconds. Default an hour. */
  readonly budgetMs?: number;
  /** A bug to be found, for tests of the checkers. */
  readonly plant?: Plant;
}

/** What a test breaks on purpose. */
export interface Plant {
  readonly network?: NetworkOptions['plant'];
  readonly disk?: DiskPlant;
  /** Wraps the arithmetic of a device; `isSlow` tells whether a fault slows it now. */
  readonly device?: (body: SyncDevice, isSlow: () => boolean) => SyncDevice;
  readonly mailboxCapacity?: number;
}

export interface SimulationProgress {
  readonly virtualMs: number;
  readonly step: number;
  readonly numEvents: number;
  readonly struck: readonly StruckFault[];
}

export interface Simulation {
  readonly result: RunResult;
  readonly events: readonly RunEvent[];
  /** Hash of everything that happened. */
  readonly traceHash: string;
  readonly trace: readonly TraceLine[];
  readonly virtualMs: number;
  readonly numEvents: number;
  /** Faults in the order in which they struck. */
  readonly struck: readonly StruckFault[];
  /** Packets that arrived, by lane. */
  readonly traffic: Readonly<Record<Lane, { readonly messages: number; readonly bytes: number }>>;
  /** What a checker found first; null: everything held. */
  readonly violation: Violation | null;
  /** States of all actors at the end. */
  readonly actors: readonly ReturnType<ActorSystem['statuses']>[number][];
}

/** As `troupe launch` watches its workers. */
const watch = { heartbeatMs: 1000, silenceMs: 6000 };
const BUDGET_MS = 3_600_000;
const CHECKPOINT_FOLDER = 'run';

/** Steps of a run, as the reference of another. */
export const referenceOf = (events: readonly RunEvent[]): readonly ReferenceStep[] =>
  events.flatMap((event) =>
    event.event === 'step' ? [{ step: event.step, loss: event.loss, gradNorm: event.gradNorm }] : [],
  );

/**
 * Runs a topology in virtual time over a simulated cluster: the same actors with real arithmetic, as a pure function of seed, faults,
 * topology and code. Checkers watch; the first violation ends the run.
 *
 * @throws {TroupeError} what is wrong with the topology or its data
 */
export async function simulate(topology: ResolvedTopology, options: SimulationOptions): Promise<Simulation> {
  const { seed, openDevice, budgetMs = BUDGET_MS, plant } = options;
  const trace = new Trace(options.keepsTrace ?? false);
  const machines = simulatedMachines(topology, options);
  const checkers = checkersOf(topology, {
    hasBytes: options.shapesOnly !== true,
    countsRows: options.shapesOnly !== true && options.routesEvenly !== true,
    ...(options.reference === undefined ? {} : { reference: options.reference }),
  });
  const traffic = { control: { messages: 0, bytes: 0 }, data: { messages: 0, bytes: 0 } };
  const world: SimWorld = new SimWorld(trace, {
    seed,
    machineOf: machines.machineOf,
    copies: options.shapesOnly !== true,
    link: machines.linkOf,
    arrived: (_packet, arrival, changed) => {
      const lane = traffic[arrival.lane];
      lane.messages++;
      lane.bytes += arrival.bytes;
      checkers.see(packetSeen(arrival, changed, world.clock.now()));
    },
    ...(options.alter === undefined ? {} : { alter: options.alter }),
    ...(options.disk === undefined ? {} : { disk: options.disk }),
    ...(plant?.disk === undefined ? {} : { diskPlant: plant.disk }),
    ...(plant?.network === undefined ? {} : { plant: plant.network }),
  });
  const { clock } = world;
  const systems = new Map<NodeId, ActorSystem>();
  const { nodeOf } = createPlacement(topology);
  const plan: FaultPlan = new FaultPlan(clock, options.faults ?? topology.faults, {
    matches: matchesAddress,
    strike: (fault) => {
      checkers.see({ type: 'fault', atMs: clock.now(), fault, touches: touchedBy(fault, topology) });
      world.strike(fault, {
        crashActor: (address) => {
          const system = systems.get(nodeOf(address));
          world
            .life(nodeOf(address))
            .run(() => system?.fail(address as typeof addresses.trainer, new SimulationCrashError(address)));
        },
      });
    },
  });

  const events: RunEvent[] = [];
  let checks: Promise<void>[] = [];
  const seeEvent = (event: RunEvent): void => {
    events.push(event);
    const atMs = clock.now();
    if (event.event === 'step') checkers.see({ type: 'step', atMs, ...event });
    if (event.event !== 'checkpoint') return;
    const { path } = event;
    const durable = world.disk(0).afterPowerLoss();
    checks.push(
      damageOf(durable, path).then((damage) => checkers.see({ type: 'checkpoint', atMs, path, damage })),
    );
  };
  let isReached = false;
  const { stopAfter, gate, expert, tokens } = options;
  const cluster = await startCluster(topology, {
    ...(stopAfter === undefined ? {} : { stopAfter }),
    ...(gate === undefined ? {} : { gate }),
    ...(expert === undefined ? {} : { expert }),
    ...(tokens === undefined ? {} : { tokens }),
    openDevice,
    watch,
    sink: seeEvent,
    ...(options.checkpoints === true
      ? {
          checkpoints: {
            folder: CHECKPOINT_FOLDER,
            keep: topology.checkpoint.keep,
            tokenizer: null,
            hasher: inlineHasher(),
          },
        }
      : {}),
    ...(plant?.mailboxCapacity === undefined ? {} : { mailboxCapacity: plant.mailboxCapacity }),
    ports: {
      open: (node, incarnation) => {
        const ports = world.open(node, incarnation);
        const life = world.life(node);
        return {
          ...ports,
          storage: () => world.disk(machines.machineOf(node)).open(life),
          device: (body) => {
            const real = plant?.device?.(body as SyncDevice, () => life.slowness > 1) ?? (body as SyncDevice);
            const device = simDevice(real, life, () => clock.now(), machines.speedOf(node));
            world.setDevice(life, device);
            return device;
          },
        };
      },
      use: options.shapesOnly === true ? 'shapes' : 'simulate',
      ...(options.shapesOnly === true ? { codec: createReferenceCodec() } : {}),
      boot: (node, run) => world.boot(node, run),
      onExit: (handler) => world.onExit(handler),
      mounted: (system) => void systems.set(system.node, system),
    },
    observe: (turn) => {
      const { node, address, event, stateBefore, stateAfter } = turn;
      const atMs = clock.now();
      const seen = turnSeen(turn, atMs, world.life(node).incarnation);
      trace.turn(seen);
      checkers.see(seen);
      options.observe?.(turn, atMs);
      if (options.until?.(turn) === true) isReached = true;
      if (options.calibration !== undefined) world.life(node).occupy(machines.turnMsOf(node));
      plan.turned(address, stateBefore, stateAfter);
      if (event.type === 'step.open' && address === addresses.stage(0)) plan.stepOpened(event.step);
    },
  });
  const lastStep = (): RunEvent | undefined => events.findLast((event) => event.event === 'step');
  const { result, isStuck } = await drive(
    {
      world,
      cluster,
      budgetMs,
      takeChecks: () => {
        const taken = checks;
        if (taken.length === 0) return taken;
        checks = [];
        return taken;
      },
      isOver: () => isReached || checkers.violation !== null,
      progress: () => {
        const last = lastStep();
        options.progress?.({
          virtualMs: clock.now(),
          step: last?.event === 'step' ? last.step : 0,
          numEvents: clock.numEvents,
          struck: plan.struck,
        });
      },
    },
    lastStep,
  );
  if (!isReached)
    checkers.see({
      type: 'end',
      atMs: clock.now(),
      exitCode: result.exitCode,
      message: result.error?.message ?? '',
      isStuck,
    });
  return {
    result,
    events,
    traceHash: trace.digest(),
    trace: trace.lines,
    virtualMs: clock.now(),
    numEvents: clock.numEvents,
    struck: plan.struck,
    traffic,
    violation: checkers.violation,
    actors: [...systems.values()].flatMap((system) => system.statuses()),
  };
}
