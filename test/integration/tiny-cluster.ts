import { createHash } from 'node:crypto';
import { prng, type HostFloats } from '@troupe/core';
import type { Device } from '@troupe/kernel-set';
import type { StepEvent } from '@troupe/telemetry';
import { resolveTopology, type ResolvedTopology } from '@troupe/topology';
import { startCluster, type ClusterOptions, type RunResult } from 'troupe';
import { finalParameters, type Workers } from './final-parameters.ts';

const VOCAB = 32;
const SEQ_LEN = 8;
const NUM_EVAL_SEQUENCES = 4;

export interface TinyLayout {
  readonly dp: number;
  readonly ep: number;
  readonly zero?: 0 | 1 | 2 | 3;
  /** Optimizer states on the hosts of machines. */
  readonly offload?: boolean;
  readonly microbatches?: number;
  readonly choice?: 'learned' | 'balanced' | 'skewed';
  readonly scope?: 'sequence' | 'global';
  readonly sharedExperts?: number;
  readonly tiedHead?: boolean;
  /** Pipeline stages. Default 1. */
  readonly pp?: number;
  /** Grains of a batch, each one sequence. Default 8. */
  readonly grains?: number;
  readonly steps?: number;
  readonly seed?: number;
  readonly precision?: 'f32' | 'bf16';
  /** Format of rows between gates and experts. */
  readonly rows?: 'f32' | 'bf16';
  /** Peers of a group of an exchange. */
  readonly fanout?: number;
  /** Most bytes of rows that travel at a time. */
  readonly chunkBytes?: number;
  /** Machines that the devices are on, in equal parts. Default 1. */
  readonly machines?: number;
  readonly buddies?: boolean;
  /** Losses tolerated per period. Default: the topology's. */
  readonly losses?: number;
}

/** Two layers of four experts, small enough for a run of a few steps on the reference body in a test. */
export function tinyTopology(layout: TinyLayout): ResolvedTopology {
  const { dp, ep, zero = 1, microbatches = 1, choice = 'learned', scope = 'sequence' } = layout;
  const { machines = 1, buddies = false, losses, pp = 1, grains = 8, tiedHead = false } = layout;
  return resolveTopology({
    troupe: 1,
    name: 'tiny-test',
    model: {
      vocab: VOCAB,
      layers: 2,
      dModel: 16,
      heads: 2,
      seqLen: SEQ_LEN,
      ffn: { kind: 'swiglu', dFf: 24 },
      tiedHead,
      moe: {
        experts: 4,
        topK: 2,
        sharedExperts: layout.sharedExperts ?? 0,
        router: { choice },
        balance: { auxLoss: 0.02, zLoss: 0.001, scope },
      },
    },
    data: { synthetic: 'zipf' },
    train: {
      steps: layout.steps ?? 3,
      batch: grains,
      grains,
      microbatches,
      seed: layout.seed ?? 5,
      precision: layout.precision ?? 'f32',
      optimizer: { lr: 1e-2, warmup: 0 },
    },
    parallel: { dp, ep, zero, pp, offload: layout.offload === true ? 'optimizer' : 'none' },
    machines: Array.from({ length: machines }, (_, machine) => ({
      host: machines === 1 ? 'localhost' : `host${machine}`,
      devices: Array.from({ length: (dp * pp) / machines }, (_, index) => `cpu:${index}`),
    })),
    recovery: { buddies, ...(losses === undefined ? {} : { losses }) },
    wire: {
      ...(layout.fanout === undefined ? {} : { fanout: layout.fanout }),
      ...(layout.chunkBytes === undefined ? {} : { chunkBytes: layout.chunkBytes }),
      dtype: layout.rows ?? 'f32',
    },
    eval: { every: 0 },
  });
}

/**
 * Sequences that follow a noisy rule, so that a loss can fall; sequence i of a step depends on (step, i) alone. Sequence 2 ends in
 * padding and sequence 5 holds two documents, so that layouts have to agree on both.
 */
export const tinyTokens = {
  numEvalSequences: NUM_EVAL_SEQUENCES,
  trainBatch: (step: number, first: number, count: number) => sequences('train', step, first, count),
  evalBatch: (first: number, count: number) => sequences('eval', 0, first, count),
} satisfies ClusterOptions['tokens'];

function sequences(purpose: 'train' | 'eval', step: number, first: number, count: number) {
  const numTokens = count * SEQ_LEN;
  const batch = {
    ids_T: new Int32Array(numTokens),
    targets_T: new Int32Array(numTokens).fill(-1),
    firstSeen_T: new Int32Array(numTokens),
    valid_T: new Uint8Array(numTokens),
  };
  for (let index = 0; index < count; index++) {
    const sequence = first + index;
    if (purpose === 'eval' && sequence >= NUM_EVAL_SEQUENCES) continue;
    const draws = prng({ seed: 11, purpose: `tiny.${purpose}`, step, sequence });
    let id = draws.integer(0, VOCAB);
    const numValid = sequence === 2 ? SEQ_LEN - 3 : SEQ_LEN;
    for (let position = 0; position < numValid; position++) {
      const at = index * SEQ_LEN + position;
      batch.ids_T[at] = id;
      batch.valid_T[at] = 1;
      batch.firstSeen_T[at] = sequence === 5 && position >= 4 ? 4 : 0;
      id = (id * 5 + 3 + (draws.uniform(position + 1) < 0.2 ? 1 : 0)) % VOCAB;
      batch.targets_T[at] = id;
    }
  }
  return batch;
}

/** What a run computed: every number that no layout may change, and a hash of each group. */
export interface TinyRun {
  readonly result: RunResult;
  readonly steps: readonly StepEvent[];
  readonly evalLosses: readonly number[];
  /** What the run said of faults. */
  readonly faults: readonly string[];
  /** By parameter name. */
  readonly parameters: ReadonlyMap<string, HostFloats>;
  readonly hashes: {
    readonly losses: string;
    readonly gradNorms: string;
    readonly parameters: string;
    readonly evalLosses: string;
  };
}

export const hashOf = (parts: readonly ArrayBufferView[]): string => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(new Uint8Array(part.buffer, part.byteOffset, part.byteLength));
  return hash.digest('hex');
};

/** Trains the tiny model in this process and takes its numbers off. */
export async function trainTiny(
  topology: ResolvedTopology,
  openDevice: (dp: number) => Promise<Device>,
  options: Pick<ClusterOptions, 'gate' | 'expert' | 'tokens' | 'stopAfter'> = {},
): Promise<TinyRun> {
  let workers: Workers = [];
  const cluster = await startCluster(topology, {
    tokens: tinyTokens,
    ...options,
    openDevice,
    onMounted: (mounted) => {
      workers = mounted;
    },
  });
  const steps: StepEvent[] = [];
  const evalLosses: number[] = [];
  const faults: string[] = [];
  for await (const event of cluster.events()) {
    if (event.event === 'step') steps.push(event);
    if (event.event === 'eval') evalLosses.push(event.loss);
    if (event.event === 'fault') faults.push(event.message);
  }
  const result = await cluster.result;
  const parameters = finalParameters(workers, topology, result.step);
  return {
    result,
    steps,
    evalLosses,
    faults,
    parameters,
    hashes: {
      losses: hashOf([
        Float64Array.from(steps.map(({ loss }) => loss)),
        Float64Array.from(steps.map(({ auxLoss }) => auxLoss)),
      ]),
      gradNorms: hashOf([Float64Array.from(steps.map(({ gradNorm }) => gradNorm))]),
      parameters: hashOf([...parameters.values()]),
      evalLosses: hashOf([Float64Array.from(evalLosses)]),
    },
  };
}
