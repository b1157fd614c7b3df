import type { NodeId } from '@troupe/core';
import { defaultSpeed, type DeviceSpeed, type LinkModel } from '@troupe/sim';
import { createPlacement, leadNode, type ResolvedTopology } from '@troupe/topology';
import { calibrated, type Calibration } from './calibration.ts';

/** What a topology says of its machines and links, in the words of the simulator. */
export interface SimulatedMachines {
  /** Position of a node's machine. */
  readonly machineOf: (node: NodeId) => number;
  readonly speedOf: (node: NodeId) => DeviceSpeed;
  /** Event-loop time of one turn of an actor on a node, milliseconds; 0 without a calibration, and for agents and the lead. */
  readonly turnMsOf: (node: NodeId) => number;
  readonly linkOf: (from: NodeId, to: NodeId) => Partial<LinkModel>;
}

/** A gigabyte a second is this many bytes a millisecond. */
const BYTES_PER_MS = 1e6;

export function simulatedMachines(
  topology: ResolvedTopology,
  options: {
    readonly speed?: Partial<DeviceSpeed>;
    readonly link?: Partial<LinkModel>;
    readonly calibration?: Calibration;
    /** The lead is on a machine behind those of the run. */
    readonly leadIsApart?: boolean;
  } = {},
): SimulatedMachines {
  const machines = new Map<string, number>(
    createPlacement(topology).nodes.map((node) => [node.id, node.machineIndex]),
  );
  if (options.leadIsApart === true) machines.set(leadNode, topology.machines.length);
  const machineOf = (node: NodeId): number => machines.get(node) ?? 0;
  const linkModel = (
    { latencyMs, jitterMs, jitter, bandwidthGBps, loss }: ResolvedTopology['links']['inside'],
    bytesPerMs = bandwidthGBps * BYTES_PER_MS,
  ): Partial<LinkModel> => ({ latencyMs, jitterMs, jitter, bytesPerMs, loss, ...options.link });
  const { calibration } = options;
  const inside = linkModel(topology.links.inside, calibration?.insideBytesPerMs);
  const between = linkModel(topology.links.between);
  const figures = topology.machines.map((machine) =>
    calibration === undefined ? null : calibrated(calibration, machine),
  );
  const speeds = topology.machines.map(({ speed, devices }, index): DeviceSpeed => {
    const figure = figures[index];
    if (figure) return { ...figure.speed, ...options.speed };
    const threads = devices[0]?.threads ?? 1;
    const known: DeviceSpeed =
      speed === null
        ? {
            ...defaultSpeed,
            flopsPerMs: defaultSpeed.flopsPerMs * threads,
          }
        : {
            flopsPerMs: speed.flopsPerSecond / 1000,
            bytesPerMs:
              speed.memoryBytesPerSecond === null
                ? Number.POSITIVE_INFINITY
                : speed.memoryBytesPerSecond / 1000,
            launchMs: speed.launchMs,
            callMs: 0,
            memoryBytes: speed.memoryBytes ?? Number.POSITIVE_INFINITY,
          };
    return { ...known, ...options.speed };
  });
  return {
    machineOf,
    speedOf: (node) => {
      const speed = speeds[machineOf(node)] ?? { ...defaultSpeed, ...options.speed };
      // The memory that a device is out of is not a host's.
      return node.startsWith('host/') ? { ...speed, memoryBytes: Number.POSITIVE_INFINITY } : speed;
    },
    turnMsOf: (node) => (/^(?:agent|lead)\//u.test(node) ? 0 : (figures[machineOf(node)]?.turnMs ?? 0)),
    linkOf: (from, to) => (machineOf(from) === machineOf(to) ? inside : between),
  };
}
