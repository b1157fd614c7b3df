import { prng } from '@troupe/core';
import type { Fault, FaultKind } from '@troupe/sim/faults';
import { createPlacement } from '@troupe/topology';
import type { SimulationCase, Simulator } from 'troupe';

/** Enough for a checkpoint, and for a commit behind the recovery. */
const STEPS = 3;

/** How often an actor came into a state. */
interface Visit {
  readonly address: string;
  readonly state: string;
  count: number;
  /** Only behind a loss. */
  readonly isBehindLoss: boolean;
}

/** By role and state. */
type Visits = ReadonlyMap<string, ReadonlyMap<string, readonly Visit[]>>;

/** What says nothing of where a run stands. */
const idle: ReadonlySet<string> = new Set(['feeder', 'supervisor']);

/** What takes something away, crashes first: a worker, a packet between two, or a worker's answers. */
const kinds: readonly FaultKind[] = ['crash', 'crash', 'crash', 'crash', 'drop', 'hang'];

/** States of the trainer in which one more loss is hardest. */
const hard = ['recovering.abandoning', 'recovering.rebuilding', 'recovering.restoring', 'training'] as const;

/** `optimizer/dense/dp0#1 step.open 1/1 L-1 m0 handled collecting → measuring` */
const turn = /^(\S+)#\d+ .* (\S+) → (\S+)$/u;

/** The states that the actors of a cluster come into, in a run without faults and in one with a loss. */
async function visitsOf(simulator: Simulator, loss: Fault): Promise<Visits> {
  const found = new Map<string, Visit>();
  for (const faults of [[], [loss]]) {
    const { trace } = await simulator.run({ seed: 0, steps: STEPS, faults }, { keepsTrace: true });
    for (const { text } of trace) {
      const [, address = '', before, state = ''] = turn.exec(text) ?? [];
      if (before === state || address === '') continue;
      const key = `${address} ${state}`;
      const visit = found.get(key);
      if (visit === undefined) found.set(key, { address, state, count: 1, isBehindLoss: faults.length > 0 });
      else if (visit.isBehindLoss === faults.length > 0) visit.count++;
    }
  }
  const byRole = new Map<string, Map<string, Visit[]>>();
  for (const visit of found.values()) {
    const role = visit.address.split('/')[0] ?? '';
    if (idle.has(role)) continue;
    const states = byRole.get(role) ?? new Map<string, Visit[]>();
    byRole.set(role, states.set(visit.state, [...(states.get(visit.state) ?? []), visit]));
  }
  return byRole;
}

/**
 * Draws losses by state: whatever an actor is doing, a worker may be lost. Roles are drawn first, then states, so that those that are rare
 * in a step are no rarer here.
 */
export class StateCases {
  readonly #simulatorOf: (cluster: number) => Promise<Simulator>;
  readonly #numClusters: number;
  readonly #visits = new Map<number, Visits>();

  constructor(numClusters: number, simulatorOf: (cluster: number) => Promise<Simulator>) {
    this.#numClusters = numClusters;
    this.#simulatorOf = simulatorOf;
  }

  /** Case `index`, on cluster `index` modulo their number. */
  async at(index: number): Promise<{ readonly cluster: number; readonly one: SimulationCase }> {
    const draws = prng({ seed: index, purpose: 'sweep.states' });
    let at = 0;
    const pick = <T>(items: readonly T[]): T => items[draws.integer(at++, items.length)] as T;
    const below = (share: number): boolean => draws.uniform(at++) < share;
    const cluster = index % this.#numClusters;
    const simulator = await this.#simulatorOf(cluster);
    const placement = createPlacement(simulator.topology);
    const { actors } = placement;
    const nodes = placement.nodes.flatMap(({ kind, id }) =>
      kind === 'agent' || kind === 'lead' ? [] : [id as string],
    );
    const last = placement.workers.at(-1)?.id ?? '';
    const loss: Fault = { kind: 'crash', target: last, atStep: 2 };
    const visits = this.#visits.get(cluster) ?? (await visitsOf(simulator, loss));
    this.#visits.set(cluster, visits);
    const states = visits.get(pick([...visits.keys()])) ?? new Map<string, readonly Visit[]>();
    const visit = pick(states.get(pick([...states.keys()])) ?? []);
    const home = actors.find(({ address }) => address === visit.address)?.node ?? '';
    const target = nodes.includes(home) && below(0.6) ? home : pick(nodes);
    const others = nodes.filter((node) => node !== target);
    const kind = others.length === 0 ? 'crash' : pick(kinds);
    const times = 1 + draws.integer(at++, Math.min(visit.count, 4));
    const faults: Fault[] = visit.isBehindLoss ? [loss] : [];
    faults.push({
      kind,
      target: kind === 'drop' ? `${target},${pick(others)}` : target,
      when: { actor: visit.address, state: visit.state, times },
      ...(kind === 'hang' ? { forMs: pick([300, 20_000]) } : {}),
    });
    if (others.length > 0 && below(0.3)) {
      const moves = visits.get('trainer')?.has('moving') === true;
      const state = pick(moves ? [...hard, 'moving'] : hard);
      const when = { actor: 'trainer', state, times: 1 + draws.integer(at++, 2) };
      faults.push({ kind: 'crash', target: pick(others), when });
    }
    return { cluster, one: { seed: index, steps: STEPS, faults } };
  }
}
