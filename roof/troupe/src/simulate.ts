import { addresses } from '@troupe/actors';
import { inlineHasher } from '@troupe/checkpoint';
import {
  isThenable,
  runUserCode,
  shownValue,
  UserCodeError,
  userCodeError,
  type Lane,
  type NodeId,
} from '@troupe/core';
import type { Fault } from '@troupe/sim/faults';
import type { SyncDevice } from '@troupe/kernel-set';
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
import { trainingRules, type ClusterOptions } from './cluster-options.ts';
import {
  all,
  callback,
  checkOptions,
  checkTopology,
  flag,
  listOf,
  member,
  objectWith,
  oneOf,
  options,
  positive,
  required,
  rule,
  wholeNumber,
  type OptionRule,
  type OptionRules,
} from './option-rules.ts';
import type { RunResult } from './run-result.ts';
import { simulatedMachines } from './simulated-machines.ts';
import { drive } from './simulation/drive.ts';
import { checkersOf, damageOf, packetSeen, touchedBy, turnSeen } from './simulation/watch.ts';
import { startCluster } from './start-cluster.ts';

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

const amount = (unit: string): OptionRule =>
  rule(`a number of at least 0 (${unit})`, (value) => typeof value === 'number' && value >= 0);

const figures = (
  units: Readonly<Record<string, string>>,
  more: Readonly<Record<string, OptionRule>> = {},
): OptionRule =>
  options({
    ...Object.fromEntries(Object.entries(units).map(([name, unit]) => [name, amount(unit)])),
    ...more,
  });

/** Options of one run and of a simulator for many. */
export const simulatedRules = {
  shapesOnly: flag,
  calibration: all(
    objectWith('a calibration, such as parseCalibration gives'),
    member('setups', listOf(objectWith('a setup'), 'a list of setups')),
  ),
} satisfies Partial<OptionRules<SimulationOptions>>;

const rules: OptionRules<SimulationOptions> = {
  ...trainingRules,
  ...simulatedRules,
  seed: required(wholeNumber(0, 'a seed')),
  openDevice: required(callback),
  routesEvenly: flag,
  speed: figures(
    {
      flopsPerMs: 'operations a millisecond',
      bytesPerMs: 'bytes a millisecond',
      launchMs: 'milliseconds',
      callMs: 'milliseconds',
      memoryBytes: 'bytes',
    },
    { slowness: objectWith('factors by operation') },
  ),
  link: figures(
    {
      latencyMs: 'milliseconds',
      jitterMs: 'milliseconds',
      bytesPerMs: 'bytes a millisecond',
      loss: 'a probability',
      retransmitMs: 'milliseconds',
      silenceMs: 'milliseconds',
    },
    {
      jitter: oneOf('uniform', 'exponential'),
      windowBytes: figures({ control: 'bytes', data: 'bytes' }),
    },
  ),
  disk: figures({
    latencyMs: 'milliseconds',
    bytesPerMs: 'bytes a millisecond',
    syncMs: 'milliseconds',
    capacityBytes: 'bytes',
  }),
  checkpoints: flag,
  faults: listOf(objectWith('a fault'), 'a list of faults'),
  reference: listOf(objectWith('a step'), 'a list of steps, such as referenceOf gives'),
  keepsTrace: flag,
  observe: callback,
  progress: callback,
  until: callback,
  budgetMs: positive('milliseconds of virtual time'),
  plant: objectWith('a plant'),
  alter: callback,
};

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
 * @throws {OptionError} TROUPE_OPTION with every option that is not what it has to be
 * @throws {TroupeError} what is wrong with the topology or its data
 */
export async function simulate(topology: ResolvedTopology, given: SimulationOptions): Promise<Simulation> {
  checkTopology('simulate', topology);
  checkOptions('simulate', given, rules);
  const { seed, openDevice, budgetMs = BUDGET_MS, plant } = given;
  const trace = new Trace(given.keepsTrace ?? false);
  const machines = simulatedMachines(topology, given);
  const checkers = checkersOf(topology, {
    hasBytes: given.shapesOnly !== true,
    countsRows: given.shapesOnly !== true && given.routesEvenly !== true,
    ...(given.reference === undefined ? {} : { reference: given.reference }),
  });
  const traffic = { control: { messages: 0, bytes: 0 }, data: { messages: 0, bytes: 0 } };
  const world: SimWorld = new SimWorld(trace, {
    seed,
    machineOf: machines.machineOf,
    copies: given.shapesOnly !== true,
    link: machines.linkOf,
    arrived: (_packet, arrival, changed) => {
      const lane = traffic[arrival.lane];
      lane.messages++;
      lane.bytes += arrival.bytes;
      checkers.see(packetSeen(arrival, changed, world.clock.now()));
    },
    ...(given.alter === undefined ? {} : { alter: given.alter }),
    ...(given.disk === undefined ? {} : { disk: given.disk }),
    ...(plant?.disk === undefined ? {} : { diskPlant: plant.disk }),
    ...(plant?.network === undefined ? {} : { plant: plant.network }),
  });
  const { clock } = world;
  const systems = new Map<NodeId, ActorSystem>();
  const firstStage = addresses.stage({ pp: 0, dp: 0, tp: 0 });
  const { nodeOf } = createPlacement(topology);
  const plan: FaultPlan = new FaultPlan(clock, given.faults ?? topology.faults, {
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
  const { stopAfter, gate, expert, tokens } = given;
  const cluster = await startCluster(topology, {
    ...(stopAfter === undefined ? {} : { stopAfter }),
    ...(gate === undefined ? {} : { gate }),
    ...(expert === undefined ? {} : { expert }),
    ...(tokens === undefined ? {} : { tokens }),
    openDevice,
    watch,
    sink: seeEvent,
    ...(given.checkpoints === true
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
      use: given.shapesOnly === true ? 'shapes' : 'simulate',
      ...(given.shapesOnly === true ? { codec: createReferenceCodec() } : {}),
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
      const { observe, until } = given;
      const observed: unknown = observe && runUserCode('the option observe', () => observe(turn, atMs));
      const answer: unknown = until && runUserCode('the option until', () => until(turn));
      if (isThenable(answer))
        throw new UserCodeError(
          'the option until',
          `returned ${shownValue(answer)}, expected true or false; it answers at once`,
        );
      if (answer) isReached = true;
      if (given.calibration !== undefined) world.life(node).occupy(machines.turnMsOf(node));
      plan.turned(address, stateBefore, stateAfter);
      if (event.type === 'step.open' && address === firstStage) plan.stepOpened(event.step);
      return observed;
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
      progress: async () => {
        const last = lastStep();
        const { progress } = given;
        if (progress === undefined) return;
        const now: SimulationProgress = {
          virtualMs: clock.now(),
          step: last?.event === 'step' ? last.step : 0,
          numEvents: clock.numEvents,
          struck: plan.struck,
        };
        try {
          const told: unknown = progress(now);
          await told;
        } catch (thrown) {
          throw userCodeError('the option progress', thrown);
        }
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
