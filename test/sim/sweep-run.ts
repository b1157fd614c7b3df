import { describeFault } from '@troupe/sim/faults';
import { openReferenceDevice } from '@troupe/kernels';
import type { ResolvedTopology } from '@troupe/topology';
import { openSimulator, type Simulation, type SimulationCase, type Simulator } from 'troupe';
import { tinyTokens, tinyTopology, type TinyLayout } from '../integration/tiny-cluster.ts';
import type { CorpusCase } from './corpus.ts';
import { justify } from './justify.ts';
import { StateCases } from './state-case.ts';

/** Enough for two checkpoints and for a commit behind the last fault. */
export const SWEEP_STEPS = 5;

/** The clusters of a sweep; seed s runs on cluster s modulo their number. */
export const clusters: readonly (TinyLayout & { readonly latencyMs: number })[] = [
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

export const nameOf = ({
  dp,
  ep,
  zero = 1,
  latencyMs,
  fanout,
  microbatches,
  scope,
  machines,
  buddies,
  losses,
}: (typeof clusters)[number]): string =>
  [
    `dp ${dp} ep ${ep} zero ${zero}`,
    ...(fanout === undefined ? [] : [`fan-out ${fanout}`]),
    ...(microbatches === undefined ? [] : [`${microbatches} microbatches`]),
    ...(scope === undefined ? [] : [`scope ${scope}`]),
    ...(machines === undefined ? [] : [`${machines} machines`]),
    ...(buddies === true ? ['buddies'] : []),
    ...(losses === undefined ? [] : [`${losses} losses tolerated`]),
    `${latencyMs} ms`,
  ].join(', ');

/** How a run ended, in the words of the sweep. */
export interface SweepRun {
  readonly seed: number;
  /** What its case was drawn from. */
  readonly by: 'seed' | 'state';
  readonly cluster: string;
  readonly faults: readonly string[];
  readonly kinds: readonly string[];
  /** `finished`: with the loss curve of the run without faults; `ended`: for a reason that a fault gave; `wrong`: anything else. */
  readonly verdict: 'finished' | 'ended' | 'wrong';
  /** Of an end: its justification; of a wrong one, what is wrong. */
  readonly why: string;
  /** Hash of everything that happened. */
  readonly traceHash: string;
  /** How many of its faults struck. */
  readonly struck: number;
  /** How often it came back from a loss. */
  readonly recoveries: number;
}

function topologyOf({ latencyMs, ...layout }: (typeof clusters)[number]): ResolvedTopology {
  const topology = tinyTopology({ steps: SWEEP_STEPS, ...layout });
  const { checkpoint, links } = topology;
  return {
    ...topology,
    checkpoint: { ...checkpoint, every: 2 },
    eval: { ...topology.eval, every: 2 },
    links: { ...links, inside: { ...links.inside, latencyMs, jitterMs: latencyMs } },
  };
}

let stateCases: StateCases | undefined;
const simulators = new Map<number, Promise<Simulator>>();

function simulatorOf(index: number): Promise<Simulator> {
  const cluster = clusters[index];
  if (cluster === undefined) throw new RangeError(`no cluster has the number ${index}`);
  const known =
    simulators.get(index) ??
    openSimulator(topologyOf(cluster), {
      tokens: tinyTokens,
      openDevice: async () => openReferenceDevice({ dtype: 'f32' }),
    });
  simulators.set(index, known);
  return known;
}

/** What a run's end says about the code: see {@link SweepRun}. */
function judge(run: Simulation): Pick<SweepRun, 'verdict' | 'why'> {
  if (run.violation !== null) return { verdict: 'wrong', why: run.violation.text };
  if (run.result.exitCode === 0) return { verdict: 'finished', why: '' };
  const reason = justify(run);
  const sentence = run.result.error?.message ?? 'no sentence';
  return reason === null
    ? {
        verdict: 'wrong',
        why: `exit ${run.result.exitCode} (${run.result.error?.code}) that no fault justifies: ${sentence}`,
      }
    : { verdict: 'ended', why: reason };
}

async function play(cluster: number, one: SimulationCase, by: SweepRun['by'] = 'seed'): Promise<SweepRun> {
  const simulator = await simulatorOf(cluster);
  const run = await simulator.run(one);
  const faults = simulator.faultsOf(one);
  return {
    seed: one.seed,
    by,
    cluster: nameOf(clusters[cluster] as (typeof clusters)[number]),
    faults: faults.map(describeFault),
    kinds: faults.map(({ kind }) => kind),
    traceHash: run.traceHash,
    struck: run.struck.length,
    recoveries: run.events.filter(({ event }) => event === 'recovered').length,
    ...judge(run),
  };
}

/** Runs one seed with what it draws; the same seed is the same run. `cluster`: another than the seed's own. */
export const sweepSeed = (seed: number, cluster = seed % clusters.length): Promise<SweepRun> =>
  play(cluster, { seed, steps: SWEEP_STEPS, faults: 'swarm' });

/** Runs one case by state. */
export async function sweepState(index: number): Promise<SweepRun> {
  stateCases ??= new StateCases(clusters.length, simulatorOf);
  const { cluster, one } = await stateCases.at(index);
  return play(cluster, one, 'state');
}

export const sweepCase = ({ cluster, seed, faults }: CorpusCase): Promise<SweepRun> =>
  play(cluster, { seed, steps: SWEEP_STEPS, faults });
