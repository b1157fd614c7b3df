import { inlineHasher } from '@troupe/checkpoint';
import type { Lane } from '@troupe/core';
import type { ActorSystem } from '@troupe/runtime';
import type { ReferenceStep, StruckFault, TraceLine, Violation } from '@troupe/sim';
import type { RunEvent } from '@troupe/telemetry';
import { agentNodeOf, leadNode, type ResolvedTopology } from '@troupe/topology';
import { checkTopology } from './option-rules.ts';
import type { RunResult } from './run-result.ts';
import { openHostedRun } from './run/hosted-run.ts';
import { drive } from './simulation/drive.ts';
import { CHECKPOINT_FOLDER, SimulatedCluster } from './simulation/simulated-cluster.ts';
import { checkSimulationOptions, type SimulationOptions } from './simulation/simulation-options.ts';

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
  /** Bytes that the present life of every worker has allocated on its device. */
  readonly memory: readonly { readonly node: string; readonly bytes: number }[];
  /** What a checker found first; null: everything held. */
  readonly violation: Violation | null;
  /** States of all actors at the end. */
  readonly actors: readonly ReturnType<ActorSystem['statuses']>[number][];
}

/** As `troupe launch` watches its workers. */
const watch = { heartbeatMs: 1000, silenceMs: 6000 };
const BUDGET_MS = 3_600_000;

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
  checkSimulationOptions(given);
  const { stopAfter, gate, expert, tokens, openDevice, plant, checkpoints, budgetMs = BUDGET_MS } = given;
  const cluster = new SimulatedCluster(topology, given);
  const { world, checkers } = cluster;
  const written = {
    folder: CHECKPOINT_FOLDER,
    keep: topology.checkpoint.keep,
    tokenizer: null,
    hasher: inlineHasher(),
  };
  const hosted = await openHostedRun(
    topology,
    {
      ...(stopAfter === undefined ? {} : { stopAfter }),
      ...(gate === undefined ? {} : { gate }),
      ...(expert === undefined ? {} : { expert }),
      ...(tokens === undefined ? {} : { tokens }),
      ...(plant?.mailboxCapacity === undefined ? {} : { mailboxCapacity: plant.mailboxCapacity }),
      ...(plant?.system === undefined ? {} : { begun: plant.system }),
      ...(checkpoints === true ? { checkpoints: written } : {}),
      openDevice,
      watch,
      storage: () => cluster.storage,
      leadStorage: () => cluster.leadStorage,
      report: (event) => cluster.see(event),
      observe: (turn) => cluster.observe(turn),
    },
    cluster.lives,
  );
  const { run, processes } = hosted;
  cluster.attach(processes.systems);
  hosted.start();
  const { result, isStuck } = await drive({
    world,
    result: run.result,
    budgetMs,
    takeChecks: () => cluster.takeChecks(),
    isOver: () => cluster.isReached || checkers.violation !== null,
    progress: () => cluster.progress(),
    lastStep: () => cluster.lastStep,
    isLeaderless: () =>
      !world.life(leadNode).isAlive && !(run.restartsLead && world.life(agentNodeOf(0)).isAlive),
  });
  const { clock } = world;
  if (!cluster.isReached) {
    const message = result.error?.message ?? '';
    checkers.see({ type: 'end', atMs: clock.now(), exitCode: result.exitCode, message, isStuck });
  }
  return {
    result,
    events: cluster.events,
    traceHash: cluster.trace.digest(),
    trace: cluster.trace.lines,
    virtualMs: clock.now(),
    numEvents: clock.numEvents,
    struck: cluster.plan.struck,
    traffic: cluster.traffic,
    memory: Array.from(world.devices(), ([node, { usedBytes: bytes }]) => ({ node, bytes })),
    violation: checkers.violation,
    actors: [...processes.systems.values()].flatMap((system) => system.statuses()),
  };
}
