import { TroupeError } from '@troupe/core';
import { parameterCounts } from '@troupe/spec';
import {
  Layout,
  planMemory,
  resolveTopology,
  type DeviceMemory,
  type ResolvedTopology,
} from '@troupe/topology';
import { openSimulator, type Simulation } from 'troupe';
import { capacityDocument, HOST_BYTES, type CapacityCase } from './capacity-cases.ts';

/** The largest model of a family in one accounting. */
export interface Largest {
  readonly size: number;
  readonly parameters: number;
  /** On the fullest device, of its 40 GB. */
  readonly deviceBytes: number;
  /** Host memory of a machine's eight devices, bytes. */
  readonly hostBytes: number;
  /** `simulated`: a step ran in the allocators of all devices, and the next larger size was refused by one of them. */
  readonly basis: 'simulated' | 'formula';
}

/** As Troupe's actors allocate, or 2 + 2 + 12 bytes a parameter. */
export type Accounting = 'own' | 'papers';

export const topologyOf = (one: CapacityCase, size: number): ResolvedTopology =>
  resolveTopology(capacityDocument(one, size));

/** What plan says of the first worker of every stage. */
function plannedMemory(topology: ResolvedTopology): DeviceMemory {
  const layout = new Layout(topology);
  const workers = Array.from({ length: layout.mesh.pp }, (_, pp) => {
    const rank = layout.mesh.rankOf({ pp, dp: 0, tp: 0 });
    return { id: layout.nodeOf(rank), rank, coordinates: layout.at(rank) };
  });
  return planMemory(topology, { layout, workers }).reduce((fullest, each) =>
    each.own.device > fullest.own.device ? each : fullest,
  );
}

function bytesOf(topology: ResolvedTopology, accounting: Accounting): { device: number; host: number } {
  const { own, papers } = plannedMemory(topology);
  if (accounting === 'own') return own;
  return { device: papers.mixed.device + own.activations + own.buffers, host: papers.mixed.host };
}

const memoryOf = ({ machines }: ResolvedTopology): number => machines[0]?.speed?.memoryBytes ?? 0;

export function fitsByFormula(one: CapacityCase, size: number, accounting: Accounting): boolean {
  const topology = topologyOf(one, size);
  const { device, host } = bytesOf(topology, accounting);
  return device <= memoryOf(topology) && host * Math.min(8, one.devices) <= HOST_BYTES;
}

/** The largest size that fits by plan, at least 0. */
export function plannedSize(one: CapacityCase, accounting: Accounting): number {
  let [low, high] = [0, 1];
  while (fitsByFormula(one, high, accounting)) [low, high] = [high, 2 * high];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (fitsByFormula(one, middle, accounting)) low = middle;
    else high = middle;
  }
  return low;
}

export async function simulated(topology: ResolvedTopology, steps: number): Promise<Simulation> {
  const simulator = await openSimulator(topology, { shapesOnly: true });
  return simulator.run({ seed: 1, steps, faults: [] });
}

/** Exit code of a run for which a device has no room. */
const NO_ROOM = 5;

/** One step of a size; null: a device has no room, which it says when its actors are mounted, or in the step. */
export async function stepOf(one: CapacityCase, size: number): Promise<Simulation | null> {
  try {
    const run = await simulated(topologyOf(one, size), 1);
    if (run.result.exitCode === 0) return run;
    if (run.result.exitCode === NO_ROOM) return null;
    throw run.result.error ?? new Error(run.violation?.text ?? 'a simulation failed');
  } catch (error) {
    if (error instanceof TroupeError && error.code === 'TROUPE_DEVICE_MEMORY') return null;
    throw error;
  }
}

export function largest(one: CapacityCase, size: number, accounting: Accounting): Largest {
  const topology = topologyOf(one, Math.max(1, size));
  const { device, host } = bytesOf(topology, accounting);
  return {
    size,
    parameters: size === 0 ? 0 : parameterCounts(topology.model).total,
    deviceBytes: device,
    hostBytes: host * Math.min(8, one.devices),
    basis: 'formula',
  };
}

const deviceBytesOf = ({ memory }: Simulation): number =>
  Math.max(...memory.flatMap(({ node, bytes }) => (node.startsWith('worker/') ? [bytes] : [])));

/** A size by which a model that takes so many bytes could still grow, by what plan says of the next size; at least 1. */
function growth(one: CapacityCase, size: number, bytes: number): number {
  const [here, next] = [size, size + 1].map((each) => bytesOf(topologyOf(one, each), 'own').device);
  const each = (next ?? 0) - (here ?? 0);
  return Math.max(1, Math.floor((memoryOf(topologyOf(one, size)) - bytes) / each));
}

/**
 * The largest that runs: a step of it does, and one of the next size does not. `guess` says where to look, and what a size that ran takes
 * says where to look next.
 */
export async function largestRunning(one: CapacityCase, guess: number): Promise<Largest> {
  let ran: { readonly size: number; readonly bytes: number } | null = null;
  let refused = Infinity;
  for (let size = Math.max(1, guess); ;) {
    const run = await stepOf(one, size);
    if (run === null) refused = size;
    else ran = { size, bytes: deviceBytesOf(run) };
    const low: number = ran?.size ?? 0;
    if (refused === low + 1) break;
    size = ran === null ? refused - 1 : Math.min(refused - 1, low + growth(one, low, ran.bytes));
  }
  const found = largest(one, ran?.size ?? 0, 'own');
  return { ...found, deviceBytes: ran?.bytes ?? found.deviceBytes, basis: 'simulated' };
}
