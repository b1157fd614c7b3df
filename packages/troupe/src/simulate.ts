import type { SyncDevice } from '@troupe/core';
import {
  defaultSpeed,
  simDevice,
  SimNetwork,
  Trace,
  VirtualClock,
  type DeviceSpeed,
  type NetworkOptions,
  type TraceLine,
} from '@troupe/sim';
import type { RunEvent } from '@troupe/telemetry';
import type { ResolvedTopology } from '@troupe/topology';
import type { RunResult } from './run-result.ts';
import { startCluster, type ClusterOptions } from './start-cluster.ts';

export interface SimulationOptions
  extends Omit<NetworkOptions, 'seed'>, Pick<ClusterOptions, 'stopAfter' | 'gate' | 'expert' | 'tokens'> {
  /** Of the network's draws; the model's own seed is the topology's. */
  readonly seed: number;
  /** A body whose kernels run inside the call, one a replica. */
  readonly openDevice: (dp: number) => Promise<SyncDevice>;
  readonly speed?: DeviceSpeed;
  /** Keeps every line of the trace, to look for a divergence. Default false. */
  readonly keepsTrace?: boolean;
}

export interface Simulation {
  readonly result: RunResult;
  readonly events: readonly RunEvent[];
  /** Hash of everything that happened. */
  readonly traceHash: string;
  readonly trace: readonly TraceLine[];
  readonly virtualMs: number;
  readonly numEvents: number;
}

/**
 * Runs a topology in virtual time over a simulated network: the same actors with real arithmetic, as a pure function of
 * seed, topology and code. No checkpoints and no faults yet.
 */
export async function simulate(topology: ResolvedTopology, options: SimulationOptions): Promise<Simulation> {
  const {
    seed,
    openDevice,
    speed = defaultSpeed,
    keepsTrace = false,
    latencyMs,
    jitterMs,
    bytesPerMs,
    alter,
    ...rest
  } = options;
  const clock = new VirtualClock();
  const trace = new Trace(keepsTrace);
  const network = new SimNetwork(clock, trace, {
    seed,
    ...(latencyMs === undefined ? {} : { latencyMs }),
    ...(jitterMs === undefined ? {} : { jitterMs }),
    ...(bytesPerMs === undefined ? {} : { bytesPerMs }),
    ...(alter === undefined ? {} : { alter }),
  });
  const cluster = await startCluster(topology, {
    ...rest,
    openDevice: async (dp) => simDevice(await openDevice(dp), clock, speed),
    ports: {
      clock,
      connect: (node) => network.connect(node),
      schedule: (_node, run) => void clock.after(0, run),
    },
    observe: ({ node, address, incarnation, event, outcome, stateBefore, stateAfter }) =>
      trace.turn({
        atMs: clock.now(),
        node,
        text: `${address}#${incarnation} ${event.type} ${event.step}/${event.attempt} L${event.layer} m${event.microbatch} ${outcome} ${stateBefore} → ${stateAfter}`,
      }),
  });
  const outcome: { result: RunResult | null } = { result: null };
  const events: RunEvent[] = [];
  const finished = cluster.result.then((result) => (outcome.result = result));
  const drained = (async () => {
    for await (const event of cluster.events()) events.push(event);
  })();
  // Virtual time stands still while promises of this process settle; no actor awaits one. Microtasks run after every event, so that
  // the end of the run stops its timers before the next heartbeat is due.
  while (outcome.result === null) {
    for (let burst = 0; burst < 256 && clock.runNext(); burst++) await Promise.resolve();
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
  const result = await finished;
  await drained;
  return {
    result,
    events,
    traceHash: trace.digest(),
    trace: trace.lines,
    virtualMs: clock.now(),
    numEvents: clock.numEvents,
  };
}
