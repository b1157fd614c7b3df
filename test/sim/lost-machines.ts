import { prng } from '@troupe/core';
import type { Fault } from '@troupe/sim/faults';
import { lossEnds, resolveTopology, type ResolvedTopology } from '@troupe/topology';
import { openSimulator, type Simulation, type Simulator } from 'troupe';

const STEPS = 6;

/** Runs over machines that may be lost for good, with a spare one or without. */
const clusters = [
  { count: 3, batch: 12, policy: 'shrink', min: 1, spares: 0 },
  { count: 4, batch: 12, policy: 'shrink', min: 2, spares: 0 },
  { count: 5, batch: 10, policy: 'spare', min: 5, spares: 2 },
  { count: 6, batch: 12, policy: 'shrink', min: 1, spares: 1 },
] as const;

type Cluster = (typeof clusters)[number];

const topologyOf = ({ count, batch, policy, min, spares }: Cluster): ResolvedTopology =>
  resolveTopology({
    model: { vocab: 64, layers: 2, dModel: 16, heads: 2, seqLen: 8, moe: { experts: 4, topK: 2 } },
    data: { synthetic: 'zipf' },
    train: { steps: STEPS, batch, grains: batch },
    eval: { every: 0 },
    launcher: { kind: 'local' },
    parallel: { dp: count, zero: 1 },
    checkpoint: { every: 2 },
    machines: { count, devices: ['cpu:0'], min, spares },
    recovery: { machines: policy, waitSeconds: 20, losses: 20 },
  });

const known = new Map<Cluster, Promise<Simulator>>();
function simulatorOf(cluster: Cluster): Promise<Simulator> {
  const simulator = known.get(cluster) ?? openSimulator(topologyOf(cluster), {});
  known.set(cluster, simulator);
  return simulator;
}

/** Where a run stands when a machine is lost: between vote and record, record and send, first and last apply, in a checkpoint, at the start. */
const moments = [
  { actor: 'trainer', state: 'recording' },
  { actor: 'trainer', state: 'committing' },
  { actor: 'trainer', state: 'loading' },
  { actor: 'trainer', state: 'recovering' },
  { actor: 'trainer', state: 'checkpointing' },
  { actor: 'optimizer/*/*', state: 'applying' },
  { actor: 'store/*', state: 'writing' },
] as const;

/** One to three machines that are lost for good, at a step, in a state, or at a time in the wait for another one or behind it. */
function drawLosses(seed: number, { count }: Cluster): readonly Fault[] {
  const draws = prng({ seed, purpose: 'test.lost-machines' });
  let index = 0;
  const below = (bound: number): number => draws.integer(index++, bound);
  const machines = Array.from({ length: count }, (_, machine) => machine);
  const numLost = 1 + below(Math.min(3, count - 1));
  return Array.from({ length: numLost }, (_, each): Fault => {
    const [machine = 0] = machines.splice(below(machines.length), 1);
    // Who started an agent sees the end of its process, and not that of its machine.
    const target = `${below(2) === 0 ? 'machine' : 'agent'}/${machine}`;
    const fault = { kind: 'crash', target, restartAfterMs: -1 } as const;
    const way = below(each === 0 ? 2 : 3);
    if (way === 0) return { ...fault, atStep: 1 + below(STEPS) };
    if (way === 2) return { ...fault, atMs: 5_000 + below(25_000) };
    return { ...fault, when: { ...moments[below(moments.length)], times: 1 + below(3) } as Fault['when'] };
  });
}

export interface LostRun {
  readonly seed: number;
  readonly faults: readonly Fault[];
  /** `finished`, the reason of the list for which it ended, or what is wrong. */
  readonly outcome: string;
  readonly isWrong: boolean;
  readonly virtualMs: number;
}

function judge({ result, violation, events }: Simulation): Pick<LostRun, 'outcome' | 'isWrong'> {
  const wrong = (outcome: string) => ({ outcome, isWrong: true });
  if (violation !== null) return wrong(`${violation.checker}: ${violation.text}`);
  const steps = events.flatMap((event) => (event.event === 'step' ? [event.step] : []));
  if (steps.some((step, at) => step !== at + 1)) return wrong(`steps ${steps.join(', ')}`);
  const changed = events.find((event) => event.event === 'fault' && event.message.includes('computed again'));
  if (changed?.event === 'fault') return wrong(changed.message);
  if (result.error === null)
    return steps.length === STEPS
      ? { outcome: 'finished', isWrong: false }
      : wrong(`ended after ${steps.length}`);
  const { code, message, details } = result.error;
  const reason = lossEnds.find((each) => each === details['reason']);
  return code === 'TROUPE_MACHINE_LOST' && reason !== undefined
    ? { outcome: reason, isWrong: false }
    : wrong(`${code}: ${message}`);
}

/** A run that loses machines for good, as its seed draws it: it has the curve of the run without losses (the checkers compare), or ends for a reason of the list. */
export async function sweepLosses(seed: number): Promise<LostRun> {
  const cluster = clusters[seed % clusters.length] ?? clusters[0];
  const faults = drawLosses(seed, cluster);
  const simulator = await simulatorOf(cluster);
  const simulation = await simulator.run({ seed, steps: STEPS, faults });
  return { seed, faults, virtualMs: simulation.virtualMs, ...judge(simulation) };
}

/** How many runs ended how. */
export function lossSummary(runs: readonly LostRun[]): string {
  const counts = new Map<string, number>();
  for (const { isWrong, outcome } of runs) {
    const name = isWrong ? 'wrong' : outcome;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  const longest = Math.max(...runs.map(({ virtualMs }) => virtualMs)) / 1000;
  const list = [...counts].map(([name, count]) => `${name} ${count}`).join(', ');
  return `${runs.length} runs that lost machines for good: ${list}; the longest took ${longest.toFixed(0)} s of virtual time`;
}
