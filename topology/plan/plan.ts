import { parameterCounts, trainingFlopsPerToken, type ParameterCounts } from '@troupe/spec';
import type { FilledTopology } from '../fill.ts';
import { HOST_TARGET } from '../host-targets.ts';
import { createPlacement, type PlacedActor, type Placement } from '../placement.ts';
import type { ResolvedSpeed } from '../machines.ts';
import { planConnections, type PlannedConnections } from './connections.ts';
import { planMemory, type DeviceMemory } from './memory.ts';
import { flopsTimeline, planPipeline, type PlannedPipeline } from './pipeline.ts';
import { planLinks, trafficPerDevice, type Link, type TrafficBytes } from './traffic.ts';
import type { TopologyProblem } from '../problem.ts';
import type { ResolvedTopology } from '../resolved.ts';
import { refuseUnbuilt } from '../unbuilt.ts';

export interface PlanOptions {
  /** Speed of one device. Default: of the slowest machine that names its `speed`; null: unknown, and so is the step time. */
  readonly flopsPerSecond?: number | null;
  /** Bytes a second that one worker can send. Default: `links`; null: unknown. */
  readonly bytesPerSecond?: number | null;
  /** Memory of one device in bytes. Default: of the smallest that a machine names; null: unknown. */
  readonly memoryBytes?: number | null;
  /** Where actors have moved. Default: where the topology puts them. */
  readonly placement?: Placement;
  /** Time of a step as a simulation under a calibration found it: a prediction, where speeds alone give a bound. */
  readonly simulatedSeconds?: number;
}

export interface PlannedNode {
  readonly node: string;
  readonly host: string;
  /** `cpu:0`, of a host `host:0`; null for an agent. */
  readonly device: string | null;
  readonly threads: number | null;
  readonly actors: readonly string[];
}

/** Null where a speed is unknown. */
export interface StepTime {
  /** Every device at its full speed, whatever a pipeline leaves idle included. */
  readonly computeSeconds: number | null;
  /** The busiest sender at its full bandwidth. */
  readonly wireSeconds: number | null;
  /**
   * `bound`: the longer of the two, as if they overlapped and nothing else took time; no step is shorter. `simulated`: a prediction.
   */
  readonly basis: 'bound' | 'simulated' | null;
  readonly stepSeconds: number | null;
  readonly tokensPerSecond: number | null;
}

/** What a topology will do, before anything starts. Plain data. */
export interface Plan {
  readonly name: string;
  readonly parameters: ParameterCounts;
  readonly nodes: readonly PlannedNode[];
  readonly memory: readonly DeviceMemory[];
  /** True when every device has room; null when its memory is unknown. */
  readonly fits: boolean | null;
  readonly traffic: { readonly perDevice: TrafficBytes; readonly links: readonly Link[] | null };
  /** What processes have open to talk to each other. */
  readonly connections: PlannedConnections;
  readonly pipeline: PlannedPipeline;
  readonly flopsPerToken: number;
  readonly flopsPerStep: number;
  readonly tokensPerStep: number;
  readonly time: StepTime;
  /** What `launch` would refuse. */
  readonly unbuilt: readonly TopologyProblem[];
  /** The topology with every default. */
  readonly topology: FilledTopology;
}

/** @param flops - those that follow each other on the critical path of the pipeline: no device is faster */
function stepTime(flops: number, tokens: number, sentBytes: number, options: PlanOptions): StepTime {
  const speed = options.flopsPerSecond ?? null;
  const width = options.bytesPerSecond ?? null;
  const computeSeconds = speed === null ? null : flops / speed;
  const wireSeconds = sentBytes === 0 ? 0 : width === null ? null : sentBytes / width;
  const bound =
    computeSeconds === null || wireSeconds === null ? null : Math.max(computeSeconds, wireSeconds);
  const stepSeconds = options.simulatedSeconds ?? bound;
  return {
    computeSeconds,
    wireSeconds,
    basis: options.simulatedSeconds !== undefined ? 'simulated' : bound === null ? null : 'bound',
    stepSeconds,
    tokensPerSecond: stepSeconds === null ? null : tokens / stepSeconds,
  };
}

function mostSent(links: readonly Link[] | null, perDevice: number): number {
  if (links === null) return perDevice;
  const sent = new Map<string, number>();
  for (const link of links) sent.set(link.from, (sent.get(link.from) ?? 0) + link.bytes.total);
  return Math.max(0, ...sent.values());
}

/** Plans a topology: who lives where, bytes on every device and link, FLOPs, time. Pure. */
export function planTopology(topology: ResolvedTopology, options: PlanOptions = {}): Plan {
  const placement = options.placement ?? createPlacement(topology);
  const byNode = groupByNode(placement.actors);
  const memory = planMemory(topology, placement);
  const perDevice = trafficPerDevice(topology, placement.layout);
  const links = planLinks(topology, placement);
  const timeline = flopsTimeline(topology, placement.layout);
  const tokensPerStep = topology.train.batch * topology.model.seqLen;
  const flopsPerToken = trainingFlopsPerToken(topology.model);
  const flopsPerStep = flopsPerToken * tokensPerStep;
  const known = topologySpeeds(topology);
  const room = options.memoryBytes === undefined ? known.memoryBytes : options.memoryBytes;
  return {
    name: topology.name,
    parameters: parameterCounts(topology.model),
    nodes: placement.nodes.map((node) => ({
      node: node.id,
      host: node.host,
      device: node.kind === 'worker' ? node.device.id : node.kind === 'host' ? HOST_TARGET : null,
      threads: node.kind === 'worker' ? node.device.threads : node.kind === 'host' ? node.threads : null,
      actors: byNode.get(node.id) ?? [],
    })),
    memory,
    fits: room === null ? null : memory.every((device) => device.own.device <= room),
    traffic: { perDevice, links },
    connections: planConnections(topology, placement),
    pipeline: planPipeline(topology, placement.layout, timeline),
    flopsPerToken,
    flopsPerStep,
    tokensPerStep,
    time: stepTime(timeline.end, tokensPerStep, mostSent(links, perDevice.total), {
      ...known,
      ...options,
    }),
    unbuilt: refuseUnbuilt(topology),
    topology: topology.file,
  };
}

/** Speeds that a topology names itself, so that a plan and a simulation agree; null where it does not say. */
function topologySpeeds({ machines, links }: ResolvedTopology) {
  const speeds = machines.map(({ speed }) => speed);
  const least = (figure: (speed: ResolvedSpeed) => number | null): number | null => {
    const figures = speeds.map((speed) => (speed === null ? null : figure(speed)));
    return figures.includes(null) ? null : Math.min(...(figures as number[]));
  };
  const flopsPerSecond = least((speed) => speed.flopsPerSecond);
  const { bandwidthGBps } = machines.length > 1 ? links.between : links.inside;
  return {
    flopsPerSecond,
    // Without a speed of the devices there is no step time, so that bandwidths alone predict nothing.
    bytesPerSecond: flopsPerSecond === null ? null : bandwidthGBps * 1e9,
    memoryBytes: least((speed) => speed.memoryBytes),
  };
}

function groupByNode(actors: readonly PlacedActor[]): ReadonlyMap<string, readonly string[]> {
  const groups = new Map<string, string[]>();
  for (const actor of actors) {
    const group = groups.get(actor.node);
    if (group === undefined) groups.set(actor.node, [actor.address]);
    else group.push(actor.address);
  }
  return groups;
}
