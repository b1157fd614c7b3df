import { parameterCounts, type ParameterCounts } from '@troupe/spec';
import { Layout } from '../../layout/layout.ts';
import { MachineRow } from '../../layout/machine-row.ts';
import { stageIndex } from '../../layout/rank.ts';
import { resolveTopology } from '../../resolve.ts';
import type { ResolvedTopology } from '../../resolved.ts';
import { refuseUnbuilt } from '../../unbuilt.ts';
import { TopologyError } from '../../errors.ts';
import { planMemory } from '../memory.ts';
import { flopsTimeline } from '../pipeline.ts';
import {
  axesOf,
  defersMatrices,
  dividedSo,
  microbatchesOf,
  overridesOf,
  schedulesOf,
  shardingsOf,
  type Axes,
  type Mixture,
} from './mixture.ts';
import { blocksIn, QuickMemory, together } from './quick-memory.ts';
import { chunkFigures, QuickTimes, type ClusterSpeed, type QuickTime } from './quick-time.ts';

export interface SearchOptions {
  /** Memory of one device, bytes. */
  readonly memoryBytes: number;
  /** Of the host memory of a machine; default: not limited. */
  readonly hostBytes?: number;
  readonly speed: ClusterSpeed;
  /** Rows that are wanted. Default 20. */
  readonly most?: number;
  /** Meshes that are tried. Default: all that use every device. */
  readonly axes?: Iterable<Axes>;
  /** Which mixtures of them. Default: all. */
  readonly keeps?: (mixture: Mixture) => boolean;
}

/** One mixture that fits. */
export interface FoundMixture {
  readonly mixture: Mixture;
  /** Bytes on the fullest device, by plan. */
  readonly deviceBytes: number;
  readonly hostBytes: number;
  /** Share of the stages' time in which they wait for each other, by FLOPs. */
  readonly bubble: number;
  /** The estimate, by what takes the time. */
  readonly time: QuickTime;
  readonly basis: 'estimated' | 'simulated';
  readonly stepSeconds: number;
  readonly tokensPerSecond: number;
  /** A launch runs it today. */
  readonly isBuilt: boolean;
  /** For `--set`, on any topology of this model and these machines. */
  readonly set: readonly string[];
}

export interface MixtureSearch {
  /** Mixtures that the model and the machines allow. */
  readonly numMixtures: number;
  /** Of them: that fit the devices' memory, as far as the quick count sees. */
  readonly numFitting: number;
  /** What a device has. */
  readonly memoryBytes: number;
  /** The fastest first. */
  readonly found: readonly FoundMixture[];
}

interface Candidate {
  readonly mixture: Mixture;
  readonly time: QuickTime;
}

/** What a search asks of one pipeline again and again. */
interface PipelineShape {
  readonly figures: ReturnType<typeof chunkFigures>;
  /** Stages that may be the fullest: the first, the last, and the longest. */
  readonly stages: readonly {
    readonly stage: number;
    readonly chunks: readonly ReturnType<typeof blocksIn>[];
  }[];
}

function pipelineShape(topology: ResolvedTopology, mixture: Mixture): PipelineShape {
  const layout = new Layout(dividedSo(topology, mixture));
  const { pp } = mixture;
  const length = (stage: number): number => layout.stagePlan(stageIndex(stage)).blocks.length;
  const longest = Array.from({ length: pp }, (_, stage) => stage).reduce((best, stage) =>
    length(stage) > length(best) ? stage : best,
  );
  return {
    figures: chunkFigures(topology, layout),
    stages: [...new Set([0, longest, pp - 1])].map((stage) => ({
      stage,
      chunks: layout.chunksOf(stageIndex(stage)).map((chunk) => blocksIn(topology, chunk)),
    })),
  };
}

/** Mixtures of one mesh that fit, with their times. */
class Search {
  numMixtures = 0;
  numFitting = 0;
  readonly #topology: ResolvedTopology;
  readonly #options: SearchOptions;
  readonly #memory: QuickMemory;
  readonly #times: QuickTimes;
  readonly #counts: ParameterCounts;
  readonly #shapes = new Map<string, PipelineShape>();

  constructor(topology: ResolvedTopology, options: SearchOptions) {
    this.#topology = topology;
    this.#options = options;
    this.#counts = parameterCounts(topology.model);
    this.#memory = new QuickMemory(topology);
    this.#times = new QuickTimes(topology, options.speed);
  }

  *candidates(axes: Axes): Generator<Candidate> {
    for (const microbatches of microbatchesOf(this.#topology, axes))
      for (const schedule of schedulesOf(this.#topology, axes, microbatches))
        for (const recompute of ['none', 'layer'] as const)
          yield* this.#sharded({ ...axes, ...schedule, microbatches, recompute });
  }

  /** All shardings of one way to compute: its buffers and its pipeline are the same. */
  *#sharded(computed: Omit<Mixture, 'zero' | 'offload'>): Generator<Candidate> {
    const { pp, chunks, tp, ep } = computed;
    const key = `${pp}/${chunks}`;
    const base = { ...computed, zero: 1, offload: 'none' } as const;
    let shape = this.#shapes.get(key);
    if (shape === undefined) {
      shape = pipelineShape(this.#topology, base);
      this.#shapes.set(key, shape);
    }
    const { stages, figures } = shape;
    /** Where gradients of matrices wait, and where they do not. */
    const buffers = new Map<boolean, readonly number[]>();
    const { dense, expert } = this.#counts;
    const elements = { dense: dense / pp / tp, expert: expert / pp / ep / tp };
    const { memoryBytes, hostBytes = Infinity, speed, keeps } = this.#options;
    let passes: ReturnType<QuickTimes['passes']> | null = null;
    for (const sharding of shardingsOf(computed)) {
      const mixture = { ...computed, ...sharding };
      if (keeps?.(mixture) === false) continue;
      this.numMixtures++;
      const defers = defersMatrices(mixture);
      const others =
        buffers.get(defers) ??
        stages.map(({ stage, chunks: runs }) => this.#memory.buffers(stage, runs, mixture));
      buffers.set(defers, others);
      const fits = stages.every(({ chunks: runs }, index) => {
        const { device, host } = this.#memory.states(together(runs), mixture);
        return device + (others[index] ?? 0) <= memoryBytes && host * speed.perMachine <= hostBytes;
      });
      if (!fits) continue;
      this.numFitting++;
      passes ??= this.#times.passes(figures, computed);
      yield { mixture, time: this.#times.estimate(passes, elements, mixture) };
    }
  }
}

/** Looks at a candidate as plan does; null: it does not fit after all, or some rule forbids it. */
function confirmed(
  topology: ResolvedTopology,
  { mixture, time }: Candidate,
  { memoryBytes }: SearchOptions,
): FoundMixture | null {
  const set = overridesOf(mixture);
  const resolved = resolvedOr(topology, set);
  // A placement rule may put the optimizer on hosts whatever else is tried.
  if (resolved === null || resolved.parallel.offload !== mixture.offload) return null;
  const layout = new Layout(resolved);
  const memory = planMemory(resolved, { layout, workers: firstWorkers(layout) });
  const deviceBytes = Math.max(...memory.map(({ own }) => own.device));
  if (deviceBytes > memoryBytes) return null;
  return {
    mixture,
    deviceBytes,
    hostBytes: Math.max(...memory.map(({ own }) => own.host)),
    bubble: flopsTimeline(resolved, layout).bubble,
    time,
    basis: 'estimated',
    stepSeconds: time.step,
    tokensPerSecond: (topology.train.batch * topology.model.seqLen) / time.step,
    isBuilt: refuseUnbuilt(resolved, 'simulate').length === 0,
    set,
  };
}

/** One worker of every stage: others of it have a block of 1,024 elements more or less. */
const firstWorkers = (layout: Layout) =>
  Array.from({ length: layout.mesh.pp }, (_, pp) => {
    const rank = layout.mesh.rankOf({ pp, dp: 0, tp: 0 });
    return { id: layout.nodeOf(rank), rank, coordinates: layout.at(rank) };
  });

function resolvedOr({ file }: ResolvedTopology, set: readonly string[]): ResolvedTopology | null {
  try {
    return resolveTopology(file, { set });
  } catch (error) {
    if (error instanceof TopologyError) return null;
    throw error;
  }
}

/**
 * Every way to divide a topology's work over all of its devices that fits their memory, the fastest first. What cannot fit is dropped before
 * its time is asked for; the rows that are wanted are held against the rules and the plan of a real topology.
 */
export function searchMixtures(topology: ResolvedTopology, options: SearchOptions): MixtureSearch {
  const search = new Search(topology, options);
  const candidates = [...(options.axes ?? axesOf(topology))].flatMap((axes) => [...search.candidates(axes)]);
  candidates.sort((a, b) => a.time.step - b.time.step);
  const { most = 20 } = options;
  const found: FoundMixture[] = [];
  for (const candidate of candidates) {
    if (found.length === most) break;
    const row = confirmed(topology, candidate, options);
    if (row !== null) found.push(row);
  }
  const { numMixtures, numFitting } = search;
  return { numMixtures, numFitting, memoryBytes: options.memoryBytes, found };
}

/** Speed of the cluster that a topology describes, as its slowest machine and its links say; what it does not say is as `simulate` has it. */
export function clusterSpeed({ machines, links }: ResolvedTopology): ClusterSpeed {
  const slowest = (of: (machine: ResolvedTopology['machines'][number]) => number): number =>
    Math.min(...machines.map(of));
  const link = ({ bandwidthGBps, latencyMs }: ResolvedTopology['links']['inside']) => ({
    bytesPerSecond: bandwidthGBps * 1e9,
    latencySeconds: latencyMs / 1000,
  });
  return {
    flopsPerSecond: slowest(({ speed }) => speed?.flopsPerSecond ?? DEFAULT_FLOPS),
    memoryBytesPerSecond: slowest(
      ({ speed }) => speed?.memoryBytesPerSecond ?? (speed === null ? DEFAULT_BYTES : Infinity),
    ),
    perMachine: new MachineRow(machines).neighbours,
    inside: link(links.inside),
    between: link(links.between),
  };
}

/** Of a device of which nothing is said: those of the simulator. */
const [DEFAULT_FLOPS, DEFAULT_BYTES] = [5e10, 1e10];
