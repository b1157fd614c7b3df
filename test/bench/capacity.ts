import { parameterCounts } from '@troupe/spec';
import { refuseUnbuilt } from '@troupe/topology';
import {
  capacityCases,
  rowMessages,
  sameModel,
  WEAK_SIZE,
  weakCases,
  type CapacityCase,
  type PublishedCase,
} from './capacity-cases.ts';
import {
  fitsByFormula,
  largest,
  largestRunning,
  plannedSize,
  simulated,
  stepOf,
  topologyOf,
  type Accounting,
  type Largest,
} from './capacity-search.ts';

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

/** Row messages of a step up to which it is simulated. */
const MOST_ROWS = 2e6;

/** Whether a step of a cluster ends within minutes. */
const runs = (one: CapacityCase, size: number, mostDevices: number): boolean =>
  one.devices <= mostDevices &&
  rowMessages(one) <= MOST_ROWS &&
  refuseUnbuilt(topologyOf(one, Math.max(1, size)), 'shapes').length === 0;

/** @param share - of the size that a plan lets in, which runs: as it was in a smaller cluster */
async function rowOf(one: PublishedCase, mostDevices: number, share: number): Promise<CapacityRow> {
  const planned = plannedSize(one, 'own');
  const isRun = runs(one, planned, mostDevices);
  return {
    case: one,
    own: isRun ? await largestRunning(one, Math.round(share * planned)) : largest(one, planned, 'own'),
    papers: largest(one, plannedSize(one, 'papers'), 'papers'),
  };
}

/** Of the size that a plan lets in, the share that ran of the last row of the same mixture; 1: none has. */
function shareRun(rows: readonly CapacityRow[], { mixture }: CapacityCase): number {
  const known = rows.findLast(
    ({ case: { mixture: each }, own }) => each.name === mixture.name && own.basis === 'simulated',
  );
  const planned = known === undefined ? 0 : plannedSize(known.case, 'own');
  return known === undefined || planned === 0 ? 1 : known.own.size / planned;
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
    const found = await result(`${one.devices} ${one.mixture.name}`, () =>
      rowOf(one, mostDevices, shareRun(rows, one)),
    );
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
