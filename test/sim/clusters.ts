import { resolveTopology, type ResolvedTopology, type TopologyInput } from '@troupe/topology';
import type { SimulatorOptions } from 'troupe';
import { tinyTokens, tinyTopology, type TinyLayout } from '../integration/tiny-cluster.ts';
import { isLegal, nameOf, usual, worldOf, type Mixture } from '../mixtures/mixture.ts';
import { refusedOf } from '../mixtures/mixture-run.ts';
import { expertRules, inputOf, mixtureTokens } from '../mixtures/mixture-topology.ts';
import { mixtures } from '../mixtures/table.ts';

/** Enough for two checkpoints and for a commit behind the last fault. */
export const SWEEP_STEPS = 5;
/** Largest number of workers in a sweep. */
export const MOST_WORKERS = 12;

/** What a sweep runs on. */
export interface SweepCluster {
  readonly name: string;
  readonly topology: ResolvedTopology;
  readonly tokens: NonNullable<SimulatorOptions['tokens']>;
}

/** What is around the way in which work is divided. */
export interface Surroundings {
  readonly latencyMs: number;
  /** Machines that the devices are on, in equal parts. Default 1. */
  readonly machines?: number;
  readonly buddies?: boolean;
  /** Losses tolerated per period. Default: the topology's. */
  readonly losses?: number;
}

const textOf = ({ machines, buddies, losses, latencyMs }: Surroundings): readonly string[] => [
  ...(machines === undefined ? [] : [`${machines} machines`]),
  ...(buddies === true ? ['buddies'] : []),
  ...(losses === undefined ? [] : [`${losses} losses tolerated`]),
  `${latencyMs} ms`,
];

/** A topology with checkpoints and evaluations between its steps, on links of that latency. */
function eventful(topology: ResolvedTopology, latencyMs: number): ResolvedTopology {
  const { checkpoint, links } = topology;
  return {
    ...topology,
    checkpoint: { ...checkpoint, every: 2 },
    eval: { ...topology.eval, every: 2 },
    links: { ...links, inside: { ...links.inside, latencyMs, jitterMs: latencyMs } },
  };
}

/** Two layers on data ranks alone. */
type Plain = TinyLayout & Surroundings;

function plainCluster(layout: Plain): SweepCluster {
  const { dp, ep, zero = 1, fanout, microbatches, scope, latencyMs } = layout;
  const name = [
    `dp ${dp} ep ${ep} zero ${zero}`,
    ...(fanout === undefined ? [] : [`fan-out ${fanout}`]),
    ...(microbatches === undefined ? [] : [`${microbatches} microbatches`]),
    ...(scope === undefined ? [] : [`scope ${scope}`]),
    ...textOf(layout),
  ].join(', ');
  return {
    name,
    topology: eventful(tinyTopology({ steps: SWEEP_STEPS, ...layout }), latencyMs),
    tokens: tinyTokens,
  };
}

/** A cluster that divides work as a mixture does. */
export function mixedCluster(mixture: Mixture, around: Surroundings): SweepCluster {
  const { latencyMs, machines = 1, buddies = false, losses } = around;
  const input = inputOf(mixture);
  const perMachine = worldOf(mixture) / machines;
  const all = Array.from({ length: machines }, (_, machine) => ({
    host: machines === 1 ? 'localhost' : `host${machine}`,
    devices: Array.from({ length: perMachine }, (__, index) => `cpu:${index}`),
  }));
  const devices = all.flatMap((machine) => machine.devices.map((device) => `${machine.host}/${device}`));
  const given: TopologyInput = {
    ...input,
    placement: expertRules(mixture, devices),
    train: { ...input.train, steps: SWEEP_STEPS },
    machines: all,
    recovery: { buddies, ...(losses === undefined ? {} : { losses }) },
  };
  const topology = eventful(resolveTopology(given), latencyMs);
  return {
    name: [nameOf(mixture), ...textOf(around)].join(', '),
    topology,
    tokens: mixtureTokens(topology.model),
  };
}

/** What a mixture does instead of what does not run so far, by the key that says so. */
const instead: Readonly<Record<string, Partial<Mixture>>> = {
  'parallel.tp': { tp: 1, segments: 1 },
  'train.tensorSegments': { segments: 1 },
  'parallel.zero': { zero: 1 },
  'parallel.offload': { offload: 'none' },
  'parallel.pipeline': { pipeline: 'gpipe' },
  'parallel.experts': { experts: 'contiguous' },
  'train.recompute': { recompute: 'none' },
};

/** As much of a mixture as runs; null: nothing of it that is legal. */
function running(mixture: Mixture): Mixture | null {
  const without = refusedOf(mixture).reduce<Mixture>(
    (rest, refused) => ({ ...rest, ...instead[refused.split(' ')[0] ?? ''] }),
    mixture,
  );
  return isLegal(without) && refusedOf(without).length === 0 ? without : null;
}

/** Experts on workers of their own: groups that need not divide the replicas, copies of them, stages, and what lies elsewhere too. */
const apart: readonly (readonly [Partial<Mixture>, Surroundings])[] = [
  [
    { dp: 2, ep: 3, apart: 1, microbatches: 2 },
    { latencyMs: 0.5, buddies: true },
  ],
  [
    { pp: 2, dp: 2, ep: 2, apart: 2, microbatches: 3, zero: 2 },
    { latencyMs: 0.1, machines: 2 },
  ],
  [
    { dp: 3, ep: 2, apart: 1, zero: 3, microbatches: 2 },
    { latencyMs: 0.5, buddies: true },
  ],
  [
    { pp: 2, ep: 2, apart: 1, pipeline: 'zero-bubble', microbatches: 3, experts: 'by hand' },
    { latencyMs: 0.1 },
  ],
  [
    { dp: 2, ep: 2, apart: 1, offload: 'optimizer', zero: 2 },
    { latencyMs: 0.5, machines: 2, buddies: true },
  ],
  [
    { tp: 2, ep: 2, apart: 1, sliced: false, segments: 4, microbatches: 2 },
    { latencyMs: 0.5, buddies: true },
  ],
  [
    { dp: 2, tp: 2, ep: 2, apart: 2, sliced: false, segments: 4, zero: 3 },
    { latencyMs: 0.1, machines: 2, buddies: true },
  ],
  [
    { dp: 2, tp: 2, ep: 2, sliced: false, segments: 4, microbatches: 3 },
    { latencyMs: 0.5, buddies: true },
  ],
];

/** Hot experts move after every second step, which makes a gain where groups of two are dealt. */
const moving: readonly (readonly [Partial<Mixture>, Surroundings])[] = [
  [
    { dp: 3, ep: 3 },
    { latencyMs: 0.5, buddies: true },
  ],
  [
    { dp: 6, ep: 3, zero: 0, microbatches: 2 },
    { latencyMs: 0.1, machines: 2 },
  ],
  [
    { pp: 2, dp: 3, ep: 3, zero: 3, microbatches: 2 },
    { latencyMs: 0.5, buddies: true },
  ],
  [
    { dp: 3, ep: 3, offload: 'optimizer', zero: 2, precision: 'bf16' },
    { latencyMs: 0.1, buddies: true },
  ],
  [
    { dp: 2, ep: 3, apart: 1, microbatches: 2 },
    { latencyMs: 0.5, buddies: true },
  ],
];

/** Mixtures of the table, as far as they run, each once; two of three with buddies, some on several machines. */
function mixedClusters(): readonly SweepCluster[] {
  const found = new Map<string, Mixture>();
  for (const each of mixtures) {
    const mixture = running(each);
    if (mixture !== null && worldOf(mixture) <= MOST_WORKERS) found.set(nameOf(mixture), mixture);
  }
  return [...found.values()].map((mixture, index) =>
    mixedCluster(mixture, {
      latencyMs: [0.1, 0.5, 2][index % 3] ?? 0.1,
      losses: 20,
      ...(index % 3 === 0 ? {} : { buddies: true }),
      ...(index % 2 === 0 && worldOf(mixture) % 2 === 0 ? { machines: 2 } : {}),
    }),
  );
}

const plain: readonly Plain[] = [
  { dp: 2, ep: 1, zero: 0, latencyMs: 0.1 },
  { dp: 2, ep: 2, zero: 1, latencyMs: 0.1 },
  { dp: 4, ep: 2, zero: 1, latencyMs: 2 },
  { dp: 2, ep: 1, zero: 1, latencyMs: 20 },
  { dp: 4, ep: 2, zero: 0, latencyMs: 0.1 },
  { dp: 4, ep: 4, zero: 1, latencyMs: 0.1 },
  { dp: 4, ep: 1, zero: 1, latencyMs: 0.5, fanout: 2 },
  { dp: 2, ep: 2, zero: 0, latencyMs: 20 },
  { dp: 4, ep: 2, zero: 0, latencyMs: 2, fanout: 2, microbatches: 2 },
  { dp: 1, ep: 1, zero: 1, latencyMs: 0.1, losses: 20 },
  { dp: 2, ep: 2, zero: 1, latencyMs: 0.5, buddies: true, losses: 20 },
  { dp: 4, ep: 2, zero: 1, latencyMs: 0.1, buddies: true, machines: 2, losses: 20 },
  { dp: 4, ep: 2, zero: 0, latencyMs: 1, machines: 2, losses: 20 },
  { dp: 8, ep: 4, zero: 1, latencyMs: 0.5, buddies: true, machines: 4, fanout: 2, losses: 20 },
  { dp: 8, ep: 2, zero: 0, latencyMs: 0.1, machines: 2, fanout: 4, losses: 20 },
  { dp: 2, ep: 1, zero: 1, latencyMs: 0.1, scope: 'global', losses: 20 },
];

/** Clusters on data ranks alone, in the order that the corpus knows; then the mixtures, then those with experts apart, then those whose experts move. Seed s runs on cluster s modulo their number. */
export const clusters: readonly SweepCluster[] = [
  ...plain.map(plainCluster),
  ...mixedClusters(),
  ...apart.map(([mixture, around]) =>
    mixedCluster({ ...usual, zero: 1, ...mixture }, { losses: 20, ...around }),
  ),
  ...moving.map(([mixture, around]) =>
    mixedCluster({ ...usual, zero: 1, experts: 'balanced', ...mixture }, { losses: 20, ...around }),
  ),
];
