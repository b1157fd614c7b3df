import { machineName } from '../../machines.ts';
import { TopologyError } from '../../errors.ts';
import { resolveTopology } from '../../resolve.ts';
import type { ResolvedTopology } from '../../resolved.ts';
import { mixtureOf, overridesOf, type Axes, type Mixture } from '../search/mixture.ts';
import { formatBytes } from '../table.ts';
import { clusterSpeed, searchMixtures, type FoundMixture } from '../search/search.ts';
import { keepsMixture, shrunkAxes } from './candidates.ts';
import { evenGrains, type EvenGrains } from './even-grains.ts';
import { movedBytes } from './movement.ts';
import { computingOf, leftOf, survivingFile } from './survivors.ts';

export interface LossOptions {
  /** Memory of one device, bytes. */
  readonly memoryBytes: number;
  /** False: pairs of machines are not looked at. Default true. */
  readonly pairs?: boolean;
}

/** How a run would go on. */
export interface ShrunkLayout {
  readonly mixture: Mixture;
  /** Devices that have nothing to do. */
  readonly idle: number;
  /** Bytes on the fullest device. */
  readonly deviceBytes: number;
  /** Estimated as `plan --search` does. */
  readonly stepSeconds: number;
  /** Weights and moments that machines get from others before it goes on; null: too many workers to count. */
  readonly movedBytes: number | null;
  /** For `--set`, on a topology of the machines that are left. */
  readonly set: readonly string[];
  /** That topology. */
  readonly topology: ResolvedTopology;
  /** Positions before of its machines: those that have a device that computes. */
  readonly places: readonly number[];
}

export interface Loss {
  /** `m1`, `m3`. */
  readonly machines: readonly string[];
  /** Null: it cannot go on without them. */
  readonly layout: ShrunkLayout | null;
  /** Why not. */
  readonly why: string | null;
}

export interface LossPlan {
  /** Step time of the layout that there is, estimated in the same way. */
  readonly stepSeconds: number | null;
  /** Of each machine. */
  readonly single: readonly Loss[];
  /** Of any two: of each kind one, with how many there are of it. */
  readonly pairs: readonly (Loss & { readonly count: number })[];
  /** Fewest machines that are asked for. */
  readonly min: number;
  readonly grains: EvenGrains;
}

/** Beyond this many workers what moves is not counted: it is a matter of every element's holders. */
const MAX_WORKERS_COUNTED = 256;

/** Step times that differ by less are equal: the estimate is not more exact. */
const TIE = 0.001;

/** The best for so many devices that compute; which machines they are of is the same for machines that are alike. */
interface Candidate {
  readonly row: FoundMixture;
  readonly world: number;
  readonly idle: number;
}

/** What stands in the way, of all candidates on the machines that are left. */
interface Obstacles {
  /** Ways to divide the work, and how many of them fit. */
  numMixtures: number;
  numFitting: number;
  /** The first rule that forbids one. */
  rule: string | null;
}

interface Candidates {
  readonly found: readonly Candidate[];
  readonly why: string;
}

/** Keys under which any mesh is legal, until a candidate says how it computes. */
const plainly = ['parallel.pipeline=1f1b', 'parallel.chunks=1', 'train.microbatches=1'];

function byWorld(axes: Iterable<Axes>): ReadonlyMap<number, readonly Axes[]> {
  const worlds = new Map<number, Axes[]>();
  for (const each of axes) {
    const world = each.pp * each.dp * each.tp;
    const others = worlds.get(world);
    if (others === undefined) worlds.set(world, [each]);
    else others.push(each);
  }
  return worlds;
}

/** The topology of the first mesh that rules allow, on the machines that are left: others of its size are overrides of it. */
function firstLegal(
  topology: ResolvedTopology,
  left: readonly number[],
  meshes: readonly Axes[],
  obstacles: Obstacles,
): ResolvedTopology | null {
  for (const mesh of meshes) {
    const axes = (['pp', 'dp', 'tp', 'ep'] as const).map((axis) => `parallel.${axis}=${mesh[axis]}`);
    try {
      return resolveTopology(survivingFile(topology, left, mesh.pp * mesh.dp * mesh.tp), {
        set: [...axes, ...plainly],
      });
    } catch (error) {
      if (!(error instanceof TopologyError)) throw error;
      const [problem] = error.problems;
      obstacles.rule ??= problem === undefined ? error.message : `${problem.key} ${problem.rule}`;
    }
  }
  return null;
}

function whyNone({ numMixtures, numFitting, rule }: Obstacles, memoryBytes: number): string {
  if (numMixtures > 0 && numFitting === 0)
    return `no layout on the devices that are left fits their memory, ${formatBytes(memoryBytes)} each`;
  return rule ?? 'no layout on the devices that are left keeps the numbers of the run';
}

/** The best layout for each number of devices that compute. */
function candidatesOn(
  topology: ResolvedTopology,
  left: readonly number[],
  { memoryBytes }: LossOptions,
): Candidates {
  const obstacles: Obstacles = { numMixtures: 0, numFitting: 0, rule: null };
  const devices = left.reduce((sum, index) => sum + (topology.machines[index]?.devices.length ?? 0), 0);
  const keeps = keepsMixture(topology);
  const found: Candidate[] = [];
  const worlds = [...byWorld(shrunkAxes(topology, devices))].toSorted(([a], [b]) => b - a);
  for (const [world, meshes] of worlds) {
    // With fewer than half of the devices a step takes longer than with more; it is asked for where nothing else is possible.
    if (found.length > 0 && 2 * world < devices) break;
    const base = firstLegal(topology, left, meshes, obstacles);
    if (base === null) continue;
    const speed = clusterSpeed(base);
    const search = searchMixtures(base, { memoryBytes, speed, axes: meshes, keeps, most: 1 });
    obstacles.numMixtures += search.numMixtures;
    obstacles.numFitting += search.numFitting;
    const [row] = search.found;
    if (row !== undefined) found.push({ row, world, idle: devices - world });
  }
  return { found, why: whyNone(obstacles, memoryBytes) };
}

/** The fastest; of those that are as fast the one for which least has to move. */
function bestOf(
  before: ResolvedTopology,
  left: readonly number[],
  found: readonly Candidate[],
): ShrunkLayout | null {
  const fastest = Math.min(...found.map(({ row }) => row.stepSeconds));
  const layouts = found
    .filter(({ row }) => row.stepSeconds <= fastest * (1 + TIE))
    .map(({ row, world, idle }): ShrunkLayout => {
      const topology = resolveTopology(survivingFile(before, left, world), { set: row.set });
      const { mixture, deviceBytes, stepSeconds, set } = row;
      const isCounted = before.parallel.world <= MAX_WORKERS_COUNTED;
      const moved = isCounted ? movedBytes(before, topology, left) : null;
      const places = computingOf(before, left, world);
      return { mixture, idle, deviceBytes, stepSeconds, movedBytes: moved, set, topology, places };
    });
  return layouts.toSorted((a, b) => (a.movedBytes ?? 0) - (b.movedBytes ?? 0))[0] ?? null;
}

/** With how many machines a run is to go on: what the file says of a run that shrinks, else any number. */
const fewestOf = ({ joining, recovery }: ResolvedTopology): number =>
  recovery.machines === 'shrink' && joining !== null ? joining.min : 1;

/** Answers for machines that are alike, whichever of them are lost. */
class Losses {
  readonly #topology: ResolvedTopology;
  readonly #options: LossOptions;
  readonly #known = new Map<string, Candidates>();
  readonly min: number;

  constructor(topology: ResolvedTopology, options: LossOptions, min = fewestOf(topology)) {
    this.#topology = topology;
    this.#options = options;
    this.min = min;
  }

  /** The same for machines that are alike. */
  kindOf(lost: readonly number[]): string {
    const { machines } = this.#topology;
    return JSON.stringify(
      leftOf(this.#topology, lost).map((index) => {
        const { devices = [], speed = null, body = null } = machines[index] ?? {};
        return [devices.map(({ kind, threads }) => [kind, threads]), speed, body];
      }),
    );
  }

  of(lost: readonly number[]): Loss {
    const left = leftOf(this.#topology, lost);
    const machines = lost.map(machineName);
    const none = (why: string): Loss => ({ machines, layout: null, why });
    if (left.length === 0) return none('no machine is left');
    if (left.length < this.min)
      return none(`${left.length} machines are left, and machines.min is ${this.min}`);
    const kind = this.kindOf(lost);
    let candidates = this.#known.get(kind);
    if (candidates === undefined) {
      candidates = candidatesOn(this.#topology, left, this.#options);
      this.#known.set(kind, candidates);
    }
    const layout = bestOf(this.#topology, left, candidates.found);
    return layout === null ? none(candidates.why) : { machines, layout, why: null };
  }
}

/** How a run would go on without these machines of it, with at least `min` others. */
export const withoutMachines = (
  topology: ResolvedTopology,
  lost: readonly number[],
  { min, ...options }: LossOptions & { readonly min: number },
): Loss => new Losses(topology, options, min).of(lost);

/** Pairs of machines, one of each kind. */
function pairsOf(losses: Losses, numMachines: number): LossPlan['pairs'] {
  const kinds = new Map<string, { readonly lost: readonly number[]; count: number }>();
  for (let a = 0; a < numMachines; a++)
    for (let b = a + 1; b < numMachines; b++) {
      const kind = losses.kindOf([a, b]);
      const known = kinds.get(kind);
      if (known === undefined) kinds.set(kind, { lost: [a, b], count: 1 });
      else known.count++;
    }
  return [...kinds.values()].map(({ lost, count }) => ({ ...losses.of(lost), count }));
}

/** More machines than these are not all alike, or nobody reads a row for each: pairs of the first ones stand for the others. */
const MAX_MACHINES_IN_PAIRS = 64;

/**
 * How a run would go on without each of its machines, and without any two: a layout that keeps every number, or why there is none.
 *
 * A layout is the fastest by estimate of those that fit: dp, ep and pp may change, tp where it divides `train.tensorSegments`, microbatches
 * too, and devices may idle. What does not divide the work into parts (zero, offload, recompute) stays.
 */
export function planLosses(topology: ResolvedTopology, options: LossOptions): LossPlan {
  const losses = new Losses(topology, options);
  const { machines } = topology;
  const now = mixtureOf(topology);
  // Of a run that does not say with how many it would go on, the losses below are looked at.
  const min = topology.recovery.machines === 'shrink' ? losses.min : Math.max(1, machines.length - 2);
  const { found } = searchMixtures(topology, {
    memoryBytes: Infinity,
    speed: clusterSpeed(topology),
    axes: [now],
    keeps: (mixture) => overridesOf(mixture).join() === overridesOf(now).join(),
    most: 1,
  });
  return {
    stepSeconds: found[0]?.stepSeconds ?? null,
    single: Array.from(machines.keys(), (machine) => losses.of([machine])),
    pairs: options.pairs === false ? [] : pairsOf(losses, Math.min(machines.length, MAX_MACHINES_IN_PAIRS)),
    min,
    grains: evenGrains(topology, min),
  };
}
