import { hiddenInputs, type Precision } from '@troupe/kernel-set';
import { blockOf, qkvWidths } from './blocks.ts';
import type { ModelConfig } from './model-config.ts';

/** What a memory formula depends on. */
export interface MemoryLayout {
  /** Parameters that are not routed experts. */
  readonly dense: number;
  /** Parameters of all routed experts together. */
  readonly expert: number;
  readonly dp: number;
  readonly ep: number;
  readonly tp: number;
  readonly zero: 0 | 1 | 2 | 3;
  readonly offload: 'none' | 'optimizer';
  /** False: the tensor axis slices only what is not an expert. Default true. */
  readonly expertsSliced?: boolean;
}

export interface MemoryBytes {
  /** Bytes on the device of one rank. */
  readonly device: number;
  /** Bytes of one rank in host memory. */
  readonly host: number;
}

/** Bytes a parameter, by how long and where they live. */
interface BytesPerParameter {
  readonly weights: number;
  readonly gradients: number;
  readonly optimizer: number;
}

interface Shares {
  /** Parameters a rank computes with. */
  readonly local: number;
  /** Parameters whose state it owns when state is sharded. */
  readonly owned: number;
}

/** Parameters a rank computes with, by class. */
function localParts({ dense, expert, ep, tp, expertsSliced }: MemoryLayout): {
  readonly dense: number;
  readonly expert: number;
} {
  return { dense: dense / tp, expert: expert / ep / (expertsSliced === false ? 1 : tp) };
}

function shares(layout: MemoryLayout): Shares {
  const { dp, ep } = layout;
  const { dense, expert } = localParts(layout);
  return { local: dense + expert, owned: dense / dp + expert / (dp / ep) };
}

/**
 * Training memory with 16-bit weights and gradients and an f32 Adam: 2 + 2 + (4 + 4 + 4) bytes a parameter.
 *
 * Activations, the gathered layer of stage 3 and the bucket of an offloaded gradient are not in it.
 *
 * @see Kim et al. 2021, arXiv:2109.10465; Rajbhandari et al. 2020, arXiv:1910.02054, §5
 */
export function mixedPrecisionMemory(layout: MemoryLayout): MemoryBytes {
  const bytes: BytesPerParameter = { weights: 2, gradients: 2, optimizer: 12 };
  const { local, owned } = shares(layout);
  if (layout.offload === 'optimizer') {
    return { device: bytes.weights * local, host: (bytes.gradients + bytes.optimizer) * owned };
  }
  const part = (each: number, shardedFrom: number): number =>
    each * (layout.zero >= shardedFrom ? owned : local);
  return { device: part(bytes.weights, 3) + part(bytes.gradients, 2) + part(bytes.optimizer, 1), host: 0 };
}

/** Bytes of an element of the gradients that `holders` ranks add to: an exact int64 sum, or f32 where one kernel call finishes it. */
export const gradientBytes = (holders: number, microbatches: number): 4 | 8 =>
  holders === 1 && microbatches === 1 ? 4 : 8;

/** Elements of a rank's slices that no other rank holds, by class: those that a buddy keeps. Of one rank alone: none. */
export function lonelyElements(layout: MemoryLayout): { readonly dense: number; readonly expert: number } {
  const { dp, ep, zero } = layout;
  const { dense, expert } = localParts(layout);
  if (dp === 1) return { dense: 0, expert: 0 };
  return { dense: zero >= 1 ? dense / dp : 0, expert: zero >= 1 || ep === dp ? expert / (dp / ep) : 0 };
}

/** Where the bytes of f32 training go on one rank; activations are an estimate. */
export interface F32Memory {
  /** Two buffers by parity of the version, 4 bytes each: the one in use and the one being published; a rank that is alone has one. */
  readonly weights: number;
  /** Of everything the rank computes gradients of: exact int64 sums, 8 bytes; f32, 4 bytes, where one kernel call finishes them. */
  readonly gradients: number;
  /** Adam's two moments of the slices the rank owns, 8 bytes. */
  readonly moments: number;
  /** A buddy's copy of what one rank alone holds: weights and moments, 12 bytes, and the gradient of the open step. */
  readonly buddies: number;
  readonly activations: number;
  /** In host memory; everything above is on the device. */
  readonly host: number;
  /** Bytes on the device. */
  readonly device: number;
}

/**
 * Training memory of f32 weights with exact gradient sums: 8 + 8 + 8 bytes a parameter, the moments sharded from
 * stage 1, the sums from 2, the weights from 3. Gradients to which no other rank and no other microbatch adds take 4 bytes, and so do the
 * weights of a rank that is alone: 16 bytes a parameter on one device. (A tied embedding has two calls; its sum is counted as the others.)
 */
export function f32Memory(
  layout: MemoryLayout,
  options: { readonly activations: number; readonly buddies: boolean; readonly microbatches: number },
): F32Memory {
  const { local, owned } = shares(layout);
  const part = (each: number, shardedFrom: number): number =>
    each * (layout.zero >= shardedFrom ? owned : local);
  const { dense, expert } = localParts(layout);
  const eachGradient = (holders: number): number => gradientBytes(holders, options.microbatches);
  const weights = part(layout.dp === 1 ? 4 : 8, 3);
  const gradients =
    layout.zero >= 2
      ? 8 * owned
      : eachGradient(layout.dp) * dense + eachGradient(layout.dp / layout.ep) * expert;
  const moments = part(8, 1);
  const lonely = lonelyElements(layout);
  const buddies = options.buddies
    ? (12 + eachGradient(layout.dp)) * lonely.dense +
      (12 + eachGradient(layout.dp / layout.ep)) * lonely.expert
    : 0;
  const offloaded = layout.offload === 'optimizer' ? moments + buddies : 0;
  const device = weights + gradients + moments + buddies + options.activations - offloaded;
  return {
    weights,
    gradients,
    moments,
    buddies,
    activations: options.activations,
    host: offloaded,
    device,
  };
}

/**
 * Estimate of what is kept between forward and backward of `tokens` tokens in some layers, at perfect balance.
 *
 * Per token and layer: input, two norms' outputs, query, key and value, attention's output, the residual between (D or q wide each);
 * then the FFN's pre-activations, for an MoE layer topK times with each row's input and output, and the gate's logits and
 * probabilities. In bf16 pre-activations and the first norm's output take two bytes, the rest stays f32. Logits of the head live for one grain only and are not in it.
 *
 * @returns bytes
 */
export function activationBytes(
  config: ModelConfig,
  tokens: number,
  layers: readonly number[],
  precision: Precision = 'f32',
): number {
  const d = config.dModel;
  const narrow = precision === 'bf16' ? 2 : 4;
  const perToken = layers.map((layer) => {
    const { mixer, ffn } = blockOf(config, layer);
    const widths = qkvWidths(mixer);
    const attention = narrow * d + 4 * (3 * d + widths.all + widths.q);
    const saved = (width: number): number => narrow * hiddenInputs(ffn.activation) * width;
    if (ffn.kind === 'dense') return attention + saved(ffn.hidden);
    const { topK, experts } = ffn.moe;
    return attention + 8 * experts + topK * (8 * d + saved(ffn.hidden)) + saved(ffn.sharedHidden);
  });
  return tokens * perToken.reduce((sum, each) => sum + each, 0);
}
