import { inlineHasher, type CheckpointReader } from '@troupe/checkpoint';
import type { Fault } from '@troupe/sim/faults';
import type { MemoryStorage } from '@troupe/sim';
import { agentNodeOf, leadNode, type ResolvedTopology } from '@troupe/topology';
import type { LossPolicy } from '../relayout/loss-policy.ts';
import { openHostedRun } from '../run/hosted-run.ts';
import type { ReportedSteps } from '../run/reported-steps.ts';
import type { Simulation } from './simulation.ts';
import { drive } from './drive.ts';
import { CHECKPOINT_FOLDER, SimulatedCluster } from './simulated-cluster.ts';
import type { SimulationOptions } from './simulation-options.ts';

/** As `troupe launch` watches its workers. */
const watch = { heartbeatMs: 1000, silenceMs: 6000 };

/** What a layout begins with. */
export interface LayoutStart {
  readonly faults: readonly Fault[];
  /** Of the lead, with the run's folder. */
  readonly disk: MemoryStorage;
  /** Null: from the seed. */
  readonly resumeFrom: CheckpointReader | null;
  readonly reported: ReportedSteps;
}

export interface LayoutEnd extends Simulation {
  /** The layout that the run goes on in; null: it is over. */
  readonly next: ResolvedTopology | null;
  /** What is left on the lead's disk. */
  readonly disk: MemoryStorage;
}

/**
 * A run in one layout, until it ends or is laid out anew, in a world of its own that begins at 0.
 *
 * @param start - null: it is the first one
 */
export async function simulateLayout(
  topology: ResolvedTopology,
  options: SimulationOptions & { readonly budgetMs: number },
  policy: LossPolicy,
  start: LayoutStart | null,
): Promise<LayoutEnd> {
  const { stopAfter, gate, expert, tokens, openDevice, plant, checkpoints, budgetMs } = options;
  const given = start === null ? options : { ...options, faults: start.faults };
  const cluster = new SimulatedCluster(topology, given, {
    leadIsApart: policy.mayGoOn,
    disk: start?.disk ?? null,
  });
  const { world, checkers } = cluster;
  const written = {
    folder: CHECKPOINT_FOLDER,
    keep: topology.checkpoint.keep,
    tokenizer: null,
    hasher: inlineHasher(),
  };
  let next: ResolvedTopology | null = null;
  const hasState = (): boolean =>
    topology.recovery.fromStart ||
    start?.resumeFrom != null ||
    cluster.events.some(({ event }) => event === 'checkpoint');
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
      ...(start === null ? {} : { reported: start.reported }),
      ...(start?.resumeFrom == null ? {} : { resumeFrom: start.resumeFrom }),
      openDevice,
      watch,
      storage: () => cluster.storage,
      leadStorage: () => cluster.leadStorage,
      report: (event) => cluster.see(event),
      observe: (turn) => cluster.observe(turn),
      overdue: (away) => {
        const outcome = policy.lose(away, hasState());
        if (outcome.kind === 'end') run.fail(outcome.error);
        if (outcome.kind !== 'go on') return;
        next = outcome.topology;
        void run.abort();
      },
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
  if (!cluster.isReached && next === null) {
    const message = result.error?.message ?? '';
    checkers.see({ type: 'end', atMs: clock.now(), exitCode: result.exitCode, message, isStuck });
  }
  return {
    next: checkers.violation === null && !cluster.isReached && !isStuck ? next : null,
    disk: cluster.leadDisk.afterPowerLoss(),
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
