import { defaultRouter, dropless, type ModelConfig, type MoeConfig } from '@troupe/spec';
import type { Batch, SourceBatch } from '../batch.ts';
import type { AdamWOptions } from '../local-model.ts';

/** Changes to {@link tinyConfig}, one level deep. */
export type TinyChanges = Partial<Omit<ModelConfig, 'moe'>> & { readonly moe?: Partial<MoeConfig> | null };

/** Experts that choose, of groups of so many sequences. */
export const tinyChoice = (groupSequences: number, changes: Partial<MoeConfig> = {}): Partial<MoeConfig> => ({
  router: { ...defaultRouter, kind: 'expert-choice', groupSequences },
  renormalise: false,
  balance: { auxLoss: 0, zLoss: 0.1, scope: 'sequence', layers: 'each', bias: 0, domain: 1 },
  ...changes,
});

/** A step whose decay shows. */
export const tinyUpdate: AdamWOptions = {
  learningRate: 1e-2,
  beta1: 0.9,
  beta2: 0.99,
  eps: 1e-8,
  weightDecay: 0.5,
  clip: 1,
};

/** A model small enough for finite differences on the reference device. */
export function tinyConfig(changes: TinyChanges = {}): ModelConfig {
  const { moe, ...rest } = changes;
  const experts: MoeConfig = {
    every: 1,
    firstDense: 0,
    experts: 4,
    topK: 2,
    dExpert: 6,
    sharedExperts: 0,
    router: defaultRouter,
    capacity: dropless,
    norm: false,
    renormalise: true,
    choice: 'learned',
    balance: { auxLoss: 0.3, zLoss: 0.1, scope: 'sequence', layers: 'each', bias: 0, domain: 1 },
  };
  return {
    vocab: 11,
    layers: 2,
    dModel: 8,
    heads: 2,
    kvHeads: 1,
    headDim: 4,
    mla: null,
    encoder: null,
    positions: 'rotary',
    relative: { buckets: 32, maxDistance: 128 },
    seqLen: 6,
    norm: { kind: 'rms', eps: 1e-5 },
    qkNorm: 'none',
    rope: { theta: 100 },
    tiedHead: false,
    init: { scale: 2, embedding: 1 },
    ffn: { activation: 'swiglu', dFf: 10 },
    ...rest,
    moe: moe === null ? null : { ...experts, ...moe },
  };
}

/**
 * Four sequences: a full one; one with padding behind; one of two documents (the second starts at position 3, nothing
 * predicts across); one of padding alone.
 */
export function tinyBatch(config: ModelConfig): Batch {
  const { seqLen, vocab } = config;
  const tokens = 4 * seqLen;
  const ids_T = Int32Array.from({ length: tokens }, (_, t) => (t * 7 + 3 * Math.floor(t / 5)) % vocab);
  const targets_T = Int32Array.from({ length: tokens }, (_, t) => (t * 5 + 1) % vocab);
  const valid_T = new Uint8Array(tokens).fill(1);
  const firstSeen_T = new Int32Array(tokens);
  valid_T.fill(0, 2 * seqLen - 2, 2 * seqLen);
  valid_T.fill(0, 3 * seqLen);
  firstSeen_T.fill(3, 2 * seqLen + 3, 3 * seqLen);
  for (let t = 0; t < tokens; t++) if (valid_T[t] === 0) targets_T[t] = -1;
  targets_T[2 * seqLen - 3] = -1;
  targets_T[2 * seqLen + 2] = -1;
  const source = config.encoder === null ? null : tinySource(config, config.encoder.seqLen);
  return { ids_T, targets_T, firstSeen_T, valid_T, ...(source === null ? {} : { source }) };
}

/** Of four sequences: a full text; one with padding behind, as for the decoder; two texts, one for each document; padding alone, of which nothing is seen. */
function tinySource({ seqLen, vocab }: ModelConfig, length: number): SourceBatch {
  const texts = [
    [[0, length]],
    [[0, length - 2]],
    [
      [0, 2],
      [2, length],
    ],
    [],
  ] as const;
  const tokens = 4 * length;
  const ids_T = Int32Array.from({ length: tokens }, (_, t) => (t * 3 + 2 * Math.floor(t / 4)) % vocab);
  const firstSeen_T = Int32Array.from({ length: tokens }, (_, t) => t % length);
  const endSeen_T = firstSeen_T.map((own) => own + 1);
  const valid_T = new Uint8Array(tokens);
  for (const [sequence, own] of texts.entries())
    for (const [from, to] of own) {
      const [first, end] = [sequence * length + from, sequence * length + to];
      firstSeen_T.fill(from, first, end);
      endSeen_T.fill(to, first, end);
      valid_T.fill(1, first, end);
    }
  const crossFirst_T = new Int32Array(4 * seqLen);
  const crossEnd_T = new Int32Array(4 * seqLen);
  crossEnd_T.fill(length, 0, seqLen);
  crossEnd_T.fill(length - 2, seqLen, 2 * seqLen - 2);
  crossEnd_T.fill(2, 2 * seqLen, 2 * seqLen + 3);
  crossFirst_T.fill(2, 2 * seqLen + 3, 3 * seqLen);
  crossEnd_T.fill(length, 2 * seqLen + 3, 3 * seqLen);
  return { ids_T, firstSeen_T, endSeen_T, valid_T, crossFirst_T, crossEnd_T };
}
