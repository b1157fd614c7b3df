import { addresses, agentNode } from '@troupe/actors';
import { TroupeError, type Fault, type NodeId, type SyncDevice } from '@troupe/core';
import type { ActorSystem, Turn } from '@troupe/runtime';
import {
  FaultPlan,
  simDevice,
  SimulationCrashError,
  SimWorld,
  Trace,
  type DeviceSpeed,
  type FaultHooks,
  type LinkModel,
  type NetworkOptions,
  type StruckFault,
  type TraceLine,
} from '@troupe/sim';
import type { RunEvent } from '@troupe/telemetry';
import { createPlacement, matchesAddress, type ResolvedTopology } from '@troupe/topology';
import { exitCodes, type RunResult } from './run-result.ts';
import { simulatedMachines } from './simulated-machines.ts';
import { startCluster, type Cluster, type ClusterOptions } from './start-cluster.ts';

export interface SimulationOptions
  extends Pick<NetworkOptions, 'alter'>, Pick<ClusterOptions, 'stopAfter' | 'gate' | 'expert' | 'tokens'> {
  /** Of the network's draws; the model's own seed is the topology's. */
  readonly seed: number;
  /** A body whose kernels run inside the call, one a replica. */
  readonly openDevice: (dp: number) => Promise<SyncDevice>;
  /** Of every device, over what the topology says. */
  readonly speed?: Partial<DeviceSpeed>;
  /** Of every link, over what the topology says. */
  readonly link?: Partial<LinkModel>;
  /** Default: the topology's. */
  readonly faults?: readonly Fault[];
  /** Keeps every line of the trace, to look for a divergence. Default false. */
  readonly keepsTrace?: boolean;
  /** Sees every turn, with virtual time. */
  readonly observe?: (turn: Turn, atMs: number) => void;
  /** Virtual time after which a run that has not ended is given up, milliseconds. Default an hour. */
  readonly budgetMs?: number;
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
}

/** As `troupe launch` watches its workers. */
const watch = { heartbeatMs: 1000, silenceMs: 6000 };
const BUDGET_MS = 3_600_000;

/**
 * Runs a topology in virtual time over a simulated cluster: the same actors with real arithmetic, as a pure function of seed, faults,
 * topology and code. No checkpoints yet.
 */
export async function simulate(topology: ResolvedTopology, options: SimulationOptions): Promise<Simulation> {
  const { seed, openDevice, budgetMs = BUDGET_MS } = options;
  const trace = new Trace(options.keepsTrace ?? false);
  const machines = simulatedMachines(topology, options);
  const world = new SimWorld(trace, {
    seed,
    machineOf: machines.machineOf,
    link: machines.linkOf,
    ...(options.alter === undefined ? {} : { alter: options.alter }),
  });
  const systems = new Map<NodeId, ActorSystem>();
  const hooks: FaultHooks = {
    crashActor: (address) => {
      const node = createPlacement(topology).nodeOf(address);
      const life = world.life(node);
      life.run(() =>
        systems.get(node)?.fail(address as typeof addresses.trainer, new SimulationCrashError(address)),
      );
    },
    disk: () => {},
  };
  const plan = new FaultPlan(world.clock, options.faults ?? topology.faults, {
    strike: (fault) => world.strike(fault, hooks),
    matches: matchesAddress,
  });
  const { observe, stopAfter, gate, expert, tokens } = options;
  const cluster = await startCluster(topology, {
    ...(stopAfter === undefined ? {} : { stopAfter }),
    ...(gate === undefined ? {} : { gate }),
    ...(expert === undefined ? {} : { expert }),
    ...(tokens === undefined ? {} : { tokens }),
    openDevice,
    watch,
    ports: {
      open: (node, incarnation) => {
        const ports = world.open(node, incarnation);
        const life = world.life(node);
        return {
          ...ports,
          device: (body) => {
            const device = simDevice(
              body as SyncDevice,
              life,
              () => world.clock.now(),
              machines.speedOf(node),
            );
            world.setDevice(life, device);
            return device;
          },
        };
      },
      boot: (node, run) => world.boot(node, run),
      onExit: (handler) => world.onExit(handler),
      mounted: (system) => void systems.set(system.node, system),
    },
    observe: (turn) => {
      const { node, address, incarnation, event, outcome, stateBefore, stateAfter } = turn;
      const atMs = world.clock.now();
      trace.turn({
        atMs,
        node,
        text: `${address}#${incarnation} ${event.type} ${event.step}/${event.attempt} L${event.layer} m${event.microbatch} ${outcome} ${stateBefore} → ${stateAfter}`,
      });
      observe?.(turn, atMs);
      plan.turned(address, stateBefore, stateAfter);
      if (event.type === 'step.open' && event.attempt === 1 && address === addresses.stage(0))
        plan.stepOpened(event.step);
    },
  });
  const { result, events } = await drive(cluster, world, budgetMs);
  return {
    result,
    events,
    traceHash: trace.digest(),
    trace: trace.lines,
    virtualMs: world.clock.now(),
    numEvents: world.clock.numEvents,
    struck: plan.struck,
  };
}

/** Microtasks within which the end of a run is known to the driver. */
const TICKS_TO_END = 16;
/** Turns of the event loop without an event after which a run stands still for good. */
const MOST_IDLE = 10_000;

/**
 * Runs events until the run ends.
 *
 * Virtual time stands still while promises of this process settle; no actor awaits one. They get a microtask after every event, and enough
 * of them before time moves far, so that the end of the run is seen before its next heartbeat is due.
 */
async function drive(
  cluster: Cluster,
  world: SimWorld,
  budgetMs: number,
): Promise<{ readonly result: RunResult; readonly events: readonly RunEvent[] }> {
  const outcome: { result: RunResult | null } = { result: null };
  const events: RunEvent[] = [];
  void cluster.result.then((result) => (outcome.result = result));
  const drained = (async () => {
    for await (const event of cluster.events()) events.push(event);
  })();
  const { clock } = world;
  const agent = world.life(agentNode);
  for (let idle = 0; outcome.result === null;) {
    const before = clock.numEvents;
    for (let burst = 0; burst < 256 && outcome.result === null; burst++) {
      if (clock.nextMs - clock.now() > 0.5)
        for (let tick = 0; tick < TICKS_TO_END; tick++) await Promise.resolve();
      if (outcome.result !== null || !agent.isAlive || clock.now() > budgetMs || !clock.runNext()) break;
      await Promise.resolve();
    }
    await new Promise<void>((resolve) => setImmediate(resolve));
    if (outcome.result !== null) break;
    if (!agent.isAlive) return { result: ended(events, `${agentNode} was lost`), events };
    if (clock.now() > budgetMs)
      return { result: ended(events, `nothing ended it within ${budgetMs} ms of virtual time`), events };
    idle = clock.numEvents === before ? idle + 1 : 0;
    if (idle > MOST_IDLE) return { result: ended(events, 'nothing is left that could happen'), events };
  }
  await drained;
  return { result: outcome.result, events };
}

/** The result of a run whose own trainer and supervisor cannot tell it. */
function ended(events: readonly RunEvent[], why: string): RunResult {
  const last = events.findLast((event) => event.event === 'step');
  const error = new TroupeError('TROUPE_RUN_STUCK', `${why}, after step ${last?.step ?? 0}`, {
    retryable: true,
  });
  return { exitCode: exitCodes.peerLost, step: last?.step ?? 0, loss: last?.loss ?? null, error };
}
