import { CheckpointUnsupportedError } from '@troupe/checkpoint';
import type { ModelConfig } from '@troupe/spec';
import type { TopologyInput } from '@troupe/topology';

type ModelSection = NonNullable<TopologyInput['model']>;

/** Parts into which a dense FFN divides to give the width of an expert, and the dense width that says so. */
function widths({ ffn, moe }: ModelConfig, where: string) {
  if (moe === null) return { dFf: ffn.dFf, granularity: 1 };
  const granularity = ffn.dFf / moe.dExpert;
  if (Number.isSafeInteger(granularity)) return { dFf: ffn.dFf, granularity };
  // Where every layer has experts, nothing is as wide as a dense FFN.
  if (moe.every === 1) return { dFf: moe.dExpert, granularity: 1 };
  throw new CheckpointUnsupportedError(
    where,
    `intermediate_size is ${ffn.dFf}; with dense layers it has to be a multiple of moe_intermediate_size, which is ${moe.dExpert}`,
    { key: 'intermediate_size', value: String(ffn.dFf) },
  );
}

/**
 * The `model:` of a topology that gives this config.
 *
 * @param where - named in the message when there is none
 * @throws {CheckpointUnsupportedError} TROUPE_CHECKPOINT_UNSUPPORTED when no topology says it
 */
export function modelSection(config: ModelConfig, where: string): ModelSection {
  const { moe } = config;
  const { dFf, granularity } = widths(config, where);
  return {
    vocab: config.vocab,
    layers: config.layers,
    dModel: config.dModel,
    heads: config.heads,
    kvHeads: config.kvHeads,
    headDim: config.headDim,
    seqLen: config.seqLen,
    norm: config.norm.kind,
    normEps: config.norm.eps,
    qkNorm: config.qkNorm,
    rope: { theta: config.rope.theta },
    tiedHead: config.tiedHead,
    init: { scale: config.init.scale, embedding: config.init.embedding },
    ffn: { kind: config.ffn.activation, dFf },
    moe:
      moe === null
        ? null
        : {
            every: moe.every,
            experts: moe.experts,
            topK: moe.topK,
            granularity,
            sharedExperts: moe.sharedExperts,
            router: { ...moe.router, renormalise: moe.renormalise, choice: moe.choice },
            capacity: moe.capacity,
            balance: moe.balance,
          },
  };
}
