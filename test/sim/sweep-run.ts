import { describeFault } from '@troupe/sim/faults';
import { openSimulator, type Simulation, type SimulationCase, type Simulator } from 'troupe';
import { clusters, mixedCluster, SWEEP_STEPS, type SweepCluster } from './clusters.ts';
import type { CorpusCase } from './corpus.ts';
import { justify } from './justify.ts';
import { StateCases } from './state-case.ts';

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

let stateCases: StateCases | undefined;
const simulators = new Map<string, Promise<Simulator>>();

function simulatorOf({ name, topology, tokens }: SweepCluster): Promise<Simulator> {
  // Native kernels where they are built, which take a third of the time; else the reference.
  const known = simulators.get(name) ?? openSimulator(topology, { tokens });
  simulators.set(name, known);
  return known;
}

function clusterAt(index: number): SweepCluster {
  const cluster = clusters[index];
  if (cluster === undefined) throw new RangeError(`no cluster has the number ${index}`);
  return cluster;
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

async function play(
  cluster: SweepCluster,
  one: SimulationCase,
  by: SweepRun['by'] = 'seed',
): Promise<SweepRun> {
  const simulator = await simulatorOf(cluster);
  const run = await simulator.run(one);
  const faults = simulator.faultsOf(one);
  return {
    seed: one.seed,
    by,
    cluster: cluster.name,
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
  play(clusterAt(cluster), { seed, steps: SWEEP_STEPS, faults: 'swarm' });

/** Runs one case by state. */
export async function sweepState(index: number): Promise<SweepRun> {
  stateCases ??= new StateCases(clusters.length, (cluster) => simulatorOf(clusterAt(cluster)));
  const { cluster, one } = await stateCases.at(index);
  return play(clusterAt(cluster), one, 'state');
}

export const sweepCase = ({ cluster, seed, faults, steps = SWEEP_STEPS }: CorpusCase): Promise<SweepRun> =>
  play(typeof cluster === 'number' ? clusterAt(cluster) : mixedCluster(...cluster), { seed, steps, faults });
