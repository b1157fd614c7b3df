import type { ModelConfig } from '@troupe/spec';
import type { FilledTopology } from './fill.ts';
import type { ExpertOrder } from './layout/mesh.ts';
import type { DeviceBody, ResolvedMachine } from './machines.ts';
import type { Place } from './problem.ts';
import type { NoiseKind } from './task-kinds.ts';

/** Where documents, or ids, come from. Paths are relative to the working directory or absolute. */
export type DataSource =
  | { readonly kind: 'wordnet' }
  | { readonly kind: 'text'; readonly paths: readonly string[] }
  | { readonly kind: 'jsonl'; readonly paths: readonly string[]; readonly field: string }
  | { readonly kind: 'parquet'; readonly paths: readonly string[] }
  | { readonly kind: 'tokens'; readonly paths: readonly string[] }
  | { readonly kind: 'synthetic'; readonly distribution: 'zipf' }
  | {
      readonly kind: 'parallel';
      readonly sources: readonly ParallelOrigin[];
      readonly tasks: readonly ResolvedTask[];
    };

/** Texts in several languages; which keys there are follows from the kind. Paths as those of {@link DataSource}. */
export type ParallelOrigin = NonNullable<FilledTopology['data']['parallel']>[number];

export type ResolvedTask = Omit<NonNullable<FilledTopology['data']['tasks']>[number], 'noise'> & {
  readonly noise?: readonly NoiseKind[];
};

export interface ResolvedData {
  readonly source: DataSource;
  readonly tokenizer: {
    readonly kind: 'bytes' | 'bpe';
    readonly vocab: number;
    readonly file: string | null;
  };
  /** Share of the documents kept for evaluation. */
  readonly holdout: number;
  /** Whether machines get their token ids from the lead; auto: those that lack a file. */
  readonly ship: 'auto' | boolean;
}

export type ResolvedTrain = FilledTopology['train'];
export type ResolvedOptimizer = ResolvedTrain['optimizer'];

export interface ResolvedParallel {
  readonly dp: number;
  readonly ep: number;
  /** Copies of each expert: dp / ep, or expertWorkers / ep. */
  readonly edp: number;
  readonly pp: number;
  readonly tp: number;
  /** pp · dp · tp + expertWorkers: devices, and so worker processes. */
  readonly world: number;
  /** Workers that hold no stage, and all experts; 0: experts lie beside stages. */
  readonly expertWorkers: number;
  /** Which device each worker has, of all machines' in a row; null: the one of its number. */
  readonly devices: readonly number[] | null;
  readonly zero: 0 | 1 | 2 | 3;
  readonly offload: 'none' | 'optimizer';
  readonly pipeline: FilledTopology['parallel']['pipeline'];
  /** Runs of layers of each stage. */
  readonly chunks: number;
  /** Layers of each run of layers; null: cut by FLOPs. */
  readonly stages: readonly number[] | null;
  readonly rankOrder: ExpertOrder;
  readonly expertsSliced: boolean;
  /** As written: equal runs, dealt by load, or the experts of each group (in every layer, or layer by layer). */
  readonly experts: FilledTopology['parallel']['experts'];
  readonly rebalanceEvery: number;
}

/** Machines without names: the file says how many, and the launcher which. */
export interface ResolvedJoining {
  /** Fewest machines with which a run goes on. */
  readonly min: number;
  /** Machines more, that stand by. */
  readonly spares: number;
}

/** How the machines of a run are reached. */
export interface ResolvedLauncher {
  readonly kind: 'local' | 'ssh' | 'slurm' | 'dial' | 'kubernetes';
  readonly ssh: {
    /** How troupe is called there; null: by the path that it has here. */
    readonly command: string | null;
    /** Null: the working directory here. */
    readonly workdir: string | null;
    readonly env: Readonly<Record<string, string>>;
    /** Shell line that is run before it. */
    readonly prelude: string | null;
  };
}

export interface TopologySource {
  /** The file it was read from; null when a program handed over a value. */
  readonly path: string | null;
  /** That file and those it extends. */
  readonly files: readonly string[];
  /** Overrides of `--set`, as typed. */
  readonly overrides: readonly string[];
  /** Dotted key → where its value was written; keys at their default are absent. */
  readonly places: Readonly<Record<string, Place>>;
}

/** A topology with nothing left to decide. Plain data: survives JSON, a wire and a manifest. */
export interface ResolvedTopology {
  readonly name: string;
  readonly model: ModelConfig;
  readonly data: ResolvedData;
  readonly train: ResolvedTrain;
  readonly parallel: ResolvedParallel;
  readonly machines: readonly ResolvedMachine[];
  /** What is known of machines that come from the launcher; null: the file names their hosts. */
  readonly joining: ResolvedJoining | null;
  /** What starts an agent on each machine; null: all of them are this one. */
  readonly launcher: ResolvedLauncher | null;
  readonly device: DeviceBody;
  /** Address pattern → `host/device` or `m0/device`, in the order of the file. */
  readonly placement: Readonly<Record<string, string>>;
  readonly checkpoint: FilledTopology['checkpoint'];
  /** Sinks that write files into the run folder. */
  readonly metrics: FilledTopology['metrics'];
  readonly wire: FilledTopology['wire'];
  /** What messages cost; for `plan` and `simulate`. */
  readonly links: FilledTopology['links'];
  /** What `simulate` plays; machines and disks by number. */
  readonly faults: FilledTopology['faults'];
  readonly recovery: FilledTopology['recovery'];
  readonly eval: FilledTopology['eval'];
  /** The same as a topology file with every key written out: `plan --resolved`, manifests. Resolving it changes nothing. */
  readonly file: FilledTopology;
  /**
   * `file` for a manifest: what followed from machines or devices is left to follow again, so that a resumed run may change one of them.
   */
  readonly portable: object;
  readonly source: TopologySource;
}
