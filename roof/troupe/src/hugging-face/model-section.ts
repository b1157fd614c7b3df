import type { ModelConfig } from '@troupe/spec';
import type { TopologyInput } from '@troupe/topology';

type ModelSection = NonNullable<TopologyInput['model']>;

/** The widths of dense FFN and expert, as keys of the file. */
function widths({ ffn, moe }: ModelConfig) {
  if (moe === null) return { dFf: ffn.dFf, granularity: 1 };
  const granularity = ffn.dFf / moe.dExpert;
  if (Number.isSafeInteger(granularity)) return { dFf: ffn.dFf, granularity };
  // Where every layer has experts, nothing is as wide as a dense FFN.
  if (moe.every === 1 && moe.firstDense === 0) return { dFf: moe.dExpert, granularity: 1 };
  return { dFf: ffn.dFf, granularity: 1, dExpert: moe.dExpert };
}

/** The `model:` of a topology that gives this config. */
export function modelSection(config: ModelConfig): ModelSection {
  const { moe } = config;
  const { dFf, ...width } = widths(config);
  return {
    vocab: config.vocab,
    layers: config.layers,
    encoder: config.encoder,
    positions: config.positions,
    dModel: config.dModel,
    heads: config.heads,
    kvHeads: config.kvHeads,
    headDim: config.headDim,
    mla: config.mla,
    seqLen: config.seqLen,
    norm: config.norm.kind,
    normEps: config.norm.eps,
    qkNorm: config.qkNorm,
    rope: { theta: config.rope.theta },
    relative: config.relative,
    tiedHead: config.tiedHead,
    init: { scale: config.init.scale, embedding: config.init.embedding },
    ffn: { kind: config.ffn.activation, dFf },
    moe:
      moe === null
        ? null
        : {
            every: moe.every,
            firstDense: moe.firstDense,
            experts: moe.experts,
            topK: moe.topK,
            ...width,
            sharedExperts: moe.sharedExperts,
            router: { ...moe.router, renormalise: moe.renormalise, choice: moe.choice },
            capacity: moe.capacity,
            norm: moe.norm,
            balance: moe.balance,
          },
  };
}
