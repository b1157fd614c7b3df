import { prng } from '@troupe/core';
import { resolveTopology, type ResolvedTopology, type TopologyInput } from '@troupe/topology';
import type { Batch } from '@troupe/model';
import type { ModelConfig } from '@troupe/spec';
import type { ClusterOptions } from 'troupe';
import { BATCH, models, NUM_EXPERTS, stageWorkersOf, worldOf, type Mixture } from './mixture.ts';

const SEQ_LEN = 4;
const VOCAB = 64;
/** Rows of two sequences that visit two groups each. */
const CHUNK_BYTES = 2 * SEQ_LEN * 2 * 16 * 4;
const NUM_EVAL_SEQUENCES = 10;
export const STEPS = 5;

/** Experts dealt backwards, and the last group that can gives one to the first: no group is a run, and groups differ in size. */
function byHand(ep: number): readonly (readonly number[])[] {
  const groups = Array.from({ length: ep }, (_, group) =>
    Array.from({ length: NUM_EXPERTS / ep }, (__, index) => NUM_EXPERTS - 1 - group - index * ep),
  );
  const moved = ep > 1 && NUM_EXPERTS > ep ? groups.at(-1)?.pop() : undefined;
  if (moved !== undefined) groups[0]?.push(moved);
  return groups;
}

function modelOf({ model }: Mixture): TopologyInput['model'] {
  const {
    tiedHead = false,
    sharedExperts = 0,
    scope = 'sequence',
    layers = 4,
    every = 2,
    firstDense = 0,
    dExpert,
    vocab = VOCAB,
    kvHeads = 4,
    norm = false,
    groupSequences,
    router = {},
    bias = 0,
    domain = 1,
    capacity,
    encoder = null,
    positions = 'rotary',
    topK = 2,
  } = models[model];
  return {
    vocab,
    layers,
    encoder,
    positions,
    relative: { buckets: 6, maxDistance: 5 },
    dModel: 16,
    heads: 4,
    kvHeads,
    seqLen: SEQ_LEN,
    tiedHead,
    ffn: { kind: 'swiglu', dFf: 32 },
    moe: {
      every,
      experts: NUM_EXPERTS,
      topK,
      firstDense,
      ...(dExpert === undefined ? { granularity: 2 } : { dExpert }),
      sharedExperts,
      norm,
      router: groupSequences === undefined ? router : { kind: 'expert-choice', groupSequences },
      balance: { auxLoss: 0.02, zLoss: 0.001, scope, domain, bias },
      // Grains have four tokens.
      ...(capacity === undefined ? {} : { capacity: { train: capacity, min: 1 } }),
    },
  };
}

/** Rules that put copy after copy of the groups of experts on devices behind those of stages, where they lie apart. */
export const expertRules = (mixture: Mixture, devices: readonly string[]): Record<string, string> =>
  Object.fromEntries(
    devices
      .slice(stageWorkersOf(mixture))
      .map((device, index) => [
        `expert/*/ep${index % mixture.ep}/edp${Math.floor(index / mixture.ep)}`,
        device,
      ]),
  );

/** A topology file's contents for a mixture. */
export function inputOf(mixture: Mixture): TopologyInput {
  const { pp, dp, tp, ep, zero, offload, pipeline, rankOrder } = mixture;
  const devices = Array.from({ length: worldOf(mixture) }, (_, index) => `cpu:${index}`);
  return {
    troupe: 1,
    name: 'mixture',
    model: modelOf(mixture),
    data: { synthetic: 'zipf' },
    train: {
      steps: STEPS,
      batch: BATCH,
      grains: BATCH,
      microbatches: mixture.microbatches,
      recompute: mixture.recompute,
      tensorSegments: mixture.segments,
      precision: mixture.precision,
      labelSmoothing: models[mixture.model].labelSmoothing ?? 0,
      seed: 7,
      // Without a limit a first moment of step 1 is its gradient, times what no layout changes.
      optimizer: { kind: mixture.optimizer ?? 'adamw', lr: 1e-2, warmup: 0, clip: 0 },
    },
    parallel: {
      pp,
      dp,
      tp,
      ep,
      zero,
      offload,
      pipeline,
      rankOrder,
      expertsSliced: mixture.sliced,
      experts: mixture.experts === 'by hand' ? byHand(ep).map((experts) => [...experts]) : mixture.experts,
      rebalanceEvery: 2,
    },
    machines: [{ devices }],
    placement: expertRules(
      mixture,
      devices.map((device) => `localhost/${device}`),
    ),
    ...(mixture.rows === 'chunks' ? { wire: { chunkBytes: CHUNK_BYTES } } : {}),
    checkpoint: { every: 1, keep: STEPS },
    eval: { every: 0 },
  };
}

export const topologyOf = (mixture: Mixture): ResolvedTopology => resolveTopology(inputOf(mixture));

/**
 * Sequences that follow a noisy rule, so that a loss can fall, a function of step and place alone. One ends in padding, one holds two
 * documents, and the last three are padding alone: a replica's whole last microbatch, in many mixtures.
 */
export function mixtureTokens({
  vocab,
  encoder,
}: Pick<ModelConfig, 'vocab' | 'encoder'>): NonNullable<ClusterOptions['tokens']> {
  const sequences = (purpose: 'train' | 'eval', step: number, first: number, count: number) => {
    const numTokens = count * SEQ_LEN;
    const batch = {
      ids_T: new Int32Array(numTokens),
      targets_T: new Int32Array(numTokens).fill(-1),
      firstSeen_T: new Int32Array(numTokens),
      valid_T: new Uint8Array(numTokens),
    };
    for (let index = 0; index < count; index++) {
      const sequence = first + index;
      if (sequence >= (purpose === 'eval' ? NUM_EVAL_SEQUENCES : BATCH - 3)) continue;
      const draws = prng({ seed: 23, purpose: `mixture.${purpose}`, step, sequence });
      let id = draws.integer(0, vocab);
      const numValid = sequence === 2 ? 1 : SEQ_LEN;
      for (let position = 0; position < numValid; position++) {
        const at = index * SEQ_LEN + position;
        batch.ids_T[at] = id;
        batch.valid_T[at] = 1;
        batch.firstSeen_T[at] = sequence === 5 && position >= 2 ? 2 : 0;
        id = (id * 5 + 3 + (draws.uniform(position + 1) < 0.2 ? 1 : 0)) % vocab;
        batch.targets_T[at] = id;
      }
    }
    return encoder === null
      ? batch
      : { ...batch, source: sourceOf({ purpose, step, first, count }, { vocab, length: encoder.seqLen }) };
  };
  return {
    numEvalSequences: NUM_EVAL_SEQUENCES,
    trainBatch: (step, first, count) => sequences('train', step, first, count),
    evalBatch: (first, count) => sequences('eval', 0, first, count),
  };
}

interface Sequences {
  readonly purpose: 'train' | 'eval';
  readonly step: number;
  readonly first: number;
  readonly count: number;
}

/**
 * What an encoder reads of the same sequences: one text each, in sequence 1 with padding behind, in sequence 5 two for its two documents; the
 * decoder of sequence 3 sees nothing of its source.
 */
function sourceOf(
  { purpose, step, first, count }: Sequences,
  { vocab, length }: { readonly vocab: number; readonly length: number },
): NonNullable<Batch['source']> {
  const size = count * length;
  const firstSeen_T = Int32Array.from({ length: size }, (_, row) => row % length);
  const source = {
    ids_T: new Int32Array(size),
    firstSeen_T,
    endSeen_T: firstSeen_T.map((own) => own + 1),
    valid_T: new Uint8Array(size),
    crossFirst_T: new Int32Array(count * SEQ_LEN),
    crossEnd_T: new Int32Array(count * SEQ_LEN),
  };
  for (let index = 0; index < count; index++) {
    const sequence = first + index;
    if (sequence >= (purpose === 'eval' ? NUM_EVAL_SEQUENCES : BATCH - 3)) continue;
    const draws = prng({ seed: 29, purpose: `mixture.source.${purpose}`, step, sequence });
    const [rows, row] = [index * length, index * SEQ_LEN];
    const numValid = sequence === 1 ? length - 1 : length;
    const bounds = sequence === 5 ? [0, 1, numValid] : [0, numValid];
    for (let text = 0; text + 1 < bounds.length; text++) {
      const [from = 0, to = 0] = bounds.slice(text);
      source.firstSeen_T.fill(from, rows + from, rows + to);
      source.endSeen_T.fill(to, rows + from, rows + to);
      const [begin, end] = sequence === 5 ? [text * 2, text * 2 + 2] : [0, SEQ_LEN];
      if (sequence === 3) continue;
      source.crossFirst_T.fill(from, row + begin, row + end);
      source.crossEnd_T.fill(to, row + begin, row + end);
    }
    for (let at = 0; at < numValid; at++) {
      source.ids_T[rows + at] = draws.integer(at, vocab);
      source.valid_T[rows + at] = 1;
    }
  }
  return source;
}
