import { TroupeError } from '@troupe/core';
import { parameterCounts } from '@troupe/spec';
import {
  Layout,
  planMemory,
  refuseUnbuilt,
  resolveTopology,
  type DeviceMemory,
  type ResolvedTopology,
} from '@troupe/topology';
import { openSimulator, type Simulation } from 'troupe';
import {
  capacityCases,
  capacityDocument,
  HOST_BYTES,
  rowMessages,
  sameModel,
  WEAK_SIZE,
  weakCases,
  type CapacityCase,
  type PublishedCase,
} from './capacity-cases.ts';

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

export interface CapacityRow {
  readonly case: PublishedCase;
  /** As Troupe's actors allocate. */
  readonly own: Largest;
  /** 2 + 2 + 12 bytes a parameter, with the activations of Troupe's plan. */
  readonly papers: Largest;
}

export interface ThroughputRow {
  readonly devices: number;
  readonly parameters: number;
  readonly stepSeconds: number;
  readonly tokensPerSecond: number;
}

/** A model that a large cluster holds, and the smaller clusters that were tried with it, the smallest first, up to the one that holds it. */
export interface SameModel {
  readonly parameters: number;
  readonly devices: number;
  readonly mixture: string;
  readonly basis: Largest['basis'];
  readonly tried: readonly { readonly devices: number; readonly mixture: string; readonly fits: boolean }[];
}

export interface Capacity {
  readonly rows: readonly CapacityRow[];
  /** In both accountings. */
  readonly same: Readonly<Record<Accounting, SameModel>>;
  readonly throughput: readonly ThroughputRow[];
}

export type CapacityResult = CapacityRow | SameModel | ThroughputRow;

/** Results of an earlier call that did not come to its end, by name. */
export interface KeptResults {
  get(key: string): unknown;
  put(key: string, result: CapacityResult): void;
}

/** As Troupe's actors allocate, or 2 + 2 + 12 bytes a parameter. */
export type Accounting = 'own' | 'papers';

/** Row messages of a step up to which it is simulated. */
const MOST_ROWS = 2e6;

const topologyOf = (one: CapacityCase, size: number): ResolvedTopology =>
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

function fitsByFormula(one: CapacityCase, size: number, accounting: Accounting): boolean {
  const topology = topologyOf(one, size);
  const { device, host } = bytesOf(topology, accounting);
  return device <= memoryOf(topology) && host * Math.min(8, one.devices) <= HOST_BYTES;
}

/** The largest size that fits by plan, at least 0. */
function plannedSize(one: CapacityCase, accounting: Accounting): number {
  let [low, high] = [0, 1];
  while (fitsByFormula(one, high, accounting)) [low, high] = [high, 2 * high];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (fitsByFormula(one, middle, accounting)) low = middle;
    else high = middle;
  }
  return low;
}

async function simulated(topology: ResolvedTopology, steps: number): Promise<Simulation> {
  const simulator = await openSimulator(topology, { shapesOnly: true });
  return simulator.run({ seed: 1, steps, faults: [] });
}

/** Exit code of a run for which a device has no room. */
const NO_ROOM = 5;

/** One step of a size; null: a device has no room, which it says when its actors are mounted, or in the step. */
async function stepOf(one: CapacityCase, size: number): Promise<Simulation | null> {
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

function largest(one: CapacityCase, size: number, accounting: Accounting): Largest {
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

/** The largest that runs: a step of it does, and one of the next size does not. The plan says where to look. */
async function largestRunning(one: CapacityCase, planned: number): Promise<Largest> {
  let size = Math.max(1, planned);
  let run = await stepOf(one, size);
  while (run === null && size > 1) run = await stepOf(one, --size);
  if (run === null) return { ...largest(one, 0, 'own'), basis: 'simulated' };
  for (;;) {
    const next = await stepOf(one, size + 1);
    if (next === null) break;
    [run, size] = [next, size + 1];
  }
  const devices = run.memory.filter(({ node }) => node.startsWith('worker/'));
  const deviceBytes = Math.max(...devices.map(({ bytes }) => bytes));
  return { ...largest(one, size, 'own'), deviceBytes, basis: 'simulated' };
}

/** Whether a step of a cluster ends within minutes. */
const runs = (one: CapacityCase, size: number, mostDevices: number): boolean =>
  one.devices <= mostDevices &&
  rowMessages(one) <= MOST_ROWS &&
  refuseUnbuilt(topologyOf(one, Math.max(1, size)), 'shapes').length === 0;

async function rowOf(one: PublishedCase, mostDevices: number): Promise<CapacityRow> {
  const planned = plannedSize(one, 'own');
  return {
    case: one,
    own: runs(one, planned, mostDevices) ? await largestRunning(one, planned) : largest(one, planned, 'own'),
    papers: largest(one, plannedSize(one, 'papers'), 'papers'),
  };
}

/** On which smaller clusters the largest model of a large one runs. */
async function sameModelOf(
  size: 'small' | 'full',
  accounting: Accounting,
  { found, mostDevices }: { readonly found: Largest; readonly mostDevices: number },
): Promise<SameModel> {
  const { of, on } = sameModel[size];
  const tried: SameModel['tried'][number][] = [];
  let { basis } = found;
  for (const { case: one, size: same } of on(found.size)) {
    const simulates = accounting === 'own' && runs(one, same, mostDevices);
    if (!simulates) basis = 'formula';
    const fits = simulates ? (await stepOf(one, same)) !== null : fitsByFormula(one, same, accounting);
    tried.push({ devices: one.devices, mixture: one.mixture.name, fits });
    if (fits) break;
  }
  const { devices, mixture } = of;
  return { parameters: found.parameters, devices, mixture: mixture.name, basis, tried };
}

async function throughputOf(one: CapacityCase): Promise<ThroughputRow> {
  const topology = topologyOf(one, WEAK_SIZE);
  const { events, result } = await simulated(topology, 2);
  const step = events.findLast((event) => event.event === 'step');
  if (step?.event !== 'step') throw new Error(result.error?.message ?? 'a simulation reported no step');
  const tokens = topology.train.batch * topology.model.seqLen;
  const stepSeconds = step.tokens / step.tokensPerSecond;
  return {
    devices: one.devices,
    parameters: parameterCounts(topology.model).total,
    stepSeconds,
    tokensPerSecond: tokens / stepSeconds,
  };
}

/** The largest models that clusters take, and how their speed grows: the same actors as a launch, without arithmetic. */
export async function benchCapacity(options: {
  readonly size: 'small' | 'full';
  /** Of clusters with more, the largest model is found by formula alone, and they have no throughput. Default: none. */
  readonly mostDevices?: number;
  /** Where results are kept as they come, since the whole takes long. Default: nowhere. */
  readonly kept?: KeptResults;
  /** Hears of every result as it comes. */
  readonly tell?: (found: CapacityResult) => void;
}): Promise<Capacity> {
  const { size, mostDevices = Infinity, kept, tell = () => {} } = options;
  const result = async <T extends CapacityResult>(key: string, find: () => Promise<T>): Promise<T> => {
    const found = (kept?.get(key) as T | undefined) ?? (await find());
    kept?.put(key, found);
    tell(found);
    return found;
  };
  const rows: CapacityRow[] = [];
  for (const one of capacityCases[size]) {
    const found = await result(`${one.devices} ${one.mixture.name}`, () => rowOf(one, mostDevices));
    rows.push({ ...found, case: one });
  }
  const { of } = sameModel[size];
  const row = rows.find(
    ({ case: { devices, mixture } }) => devices === of.devices && mixture.name === of.mixture.name,
  );
  if (row === undefined) throw new Error('the same model is one of the table');
  const sameAs = (accounting: Accounting): Promise<SameModel> =>
    result(`the same, ${accounting}`, () =>
      sameModelOf(size, accounting, { found: row[accounting], mostDevices }),
    );
  const same = { own: await sameAs('own'), papers: await sameAs('papers') };
  const throughput: ThroughputRow[] = [];
  for (const one of weakCases(size))
    if (one.devices <= mostDevices)
      throughput.push(await result(`throughput ${one.devices}`, () => throughputOf(one)));
  return { rows, same, throughput };
}
