import { faultKinds, type Fault, type FaultCondition, type FaultKind } from './faults.ts';
import { prng } from '@troupe/core';

export interface SwarmOptions {
  readonly seed: number;
  /** Steps of the run: faults strike when one of them opens. */
  readonly steps: number;
  readonly numWorkers: number;
  readonly numMachines: number;
  /** Addresses that a crash of an actor may name. */
  readonly actors: readonly string[];
  /** True when checkpoints are written: disks can fail then. */
  readonly disks: boolean;
  /** All actors, and the states that each role passes by: faults strike when one is entered, too. Absent: at steps alone. */
  readonly watched?: {
    readonly actors: readonly string[];
    readonly states: Readonly<Record<string, readonly string[]>>;
  };
  /** Most faults of a run. Default: 6, and 20 in one run of four. */
  readonly most?: number;
}

/** How often a state may be passed by before a fault strikes. */
const TIMES_MAX = 8;

/** How likely a kind is drawn when it is on; crashes are what recovery is for. */
const weights: Readonly<Partial<Record<FaultKind, number>>> = { crash: 4, hang: 2, partition: 2 };

/**
 * Draws the faults of one run.
 *
 * Swarm testing: every run switches some kinds off and makes others very likely, since a run with a little of everything never gets
 * far into one corner.
 *
 * @see Groce et al. 2012, "Swarm testing"
 */
export function drawFaults(options: SwarmOptions): readonly Fault[] {
  const draws = prng({ seed: options.seed, purpose: 'sim.faults' });
  let index = 0;
  const uniform = (): number => draws.uniform(index++);
  const below = (bound: number): number => draws.integer(index++, bound);
  const pick = <T>(items: readonly T[]): T => items[below(items.length)] as T;

  const kinds = faultKinds.filter(({ aims }) => options.disks || !aims.includes('disk'));
  const likely = kinds.flatMap(({ kind }) => {
    const mood = uniform();
    // Half of the kinds are off; a few of the others drown the rest.
    const weight = mood < 0.5 ? 0 : mood < 0.8 ? 1 : 8;
    return Array.from({ length: weight * (weights[kind] ?? 1) }, () => kind);
  });
  if (likely.length === 0) return [];
  const most = options.most ?? (uniform() < 0.25 ? 20 : 6);
  // Faults at steps alone, a mixture, or hardly any: what goes wrong during a recovery, a commit or a checkpoint needs several of them there.
  const share = options.watched === undefined ? 0 : pick([0, 0.5, 1, 1]);
  // With the agent of machine 0 goes the store, without which a run cannot go on, and with the lead all that is under way: they are struck seldom.
  const process = (): string => {
    if (uniform() < 0.06) return pick(['lead/0', 'agent/0', `agent/${below(options.numMachines)}`]);
    if (options.numMachines > 1 && uniform() < 0.15) return `machine/${1 + below(options.numMachines - 1)}`;
    return `worker/${below(options.numWorkers)}`;
  };
  // Roles first, then states, so that those that are rare in a step are no rarer here.
  const condition = ({ actors, states }: NonNullable<SwarmOptions['watched']>): FaultCondition => {
    const role = pick(
      Object.keys(states).filter((each) => actors.some((name) => name.split('/')[0] === each)),
    );
    const named = pick(actors.filter((name) => name.split('/')[0] === role));
    // As often any actor of that kind: `optimizer/dense/*`.
    const anyOf = named.replaceAll(/\/[^/]*\d[^/]*/g, '/*');
    return {
      actor: uniform() < 0.5 ? anyOf : named,
      state: pick(states[role] ?? []),
      times: 1 + below(1 + below(TIMES_MAX)),
    };
  };
  const link = (): string => {
    const from = below(options.numWorkers + 1);
    const to = (from + 1 + below(options.numWorkers)) % (options.numWorkers + 1);
    const agents = ['lead/0', 'agent/0', `agent/${below(options.numMachines)}`];
    const name = (node: number): string => (node === options.numWorkers ? pick(agents) : `worker/${node}`);
    return `${name(from)},${name(to)}`;
  };
  const drawn = Array.from({ length: 1 + below(most) }, (): Fault => {
    const kind = pick(likely);
    const info = faultKinds.find((each) => each.kind === kind);
    const aims = info?.aims ?? [];
    const takes = (name: 'forMs' | 'factor' | 'oneWay' | 'restartAfterMs'): boolean =>
      info?.takes.includes(name) ?? false;
    const isActor = aims.includes('actor') && options.actors.length > 0 && uniform() < 0.3;
    const target = aims.includes('disk')
      ? `disk/${below(options.numMachines)}`
      : isActor
        ? pick(options.actors)
        : aims.includes('link') && (!aims.includes('process') || uniform() < 0.5)
          ? link()
          : process();
    const at =
      options.watched !== undefined && uniform() < share
        ? { when: condition(options.watched) }
        : { atStep: 1 + below(options.steps) };
    // Some shorter than the silence limit of links (5 s), some longer.
    const lasting = { forMs: Math.round(10 ** (1 + 3 * uniform())) };
    const oneWay = uniform() < 0.3 && target.includes(',');
    return {
      kind,
      target,
      ...at,
      ...(takes('forMs') ? lasting : {}),
      ...(takes('factor') ? { factor: 2 + below(kind === 'skew' ? 2 : 30) } : {}),
      ...(takes('oneWay') && oneWay ? { oneWay } : {}),
      ...(takes('restartAfterMs') && !isActor
        ? { restartAfterMs: uniform() < 0.05 ? -1 : Math.round(10 ** (3 * uniform())) }
        : {}),
    };
  });
  // A second one could meet the replay of the first, and a step that is not finite twice is rightly skipped.
  const nan = drawn.find(({ kind }) => kind === 'nan');
  return drawn.filter((fault) => fault.kind !== 'nan' || fault === nan);
}
