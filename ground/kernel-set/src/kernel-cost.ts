import { InvariantError } from '@troupe/core';
import type { AttentionCall } from './attention-calls.ts';
import type { ExpertSource } from './expert-source.ts';
import type { GradientTarget } from './gradient-target.ts';
import type { CombineCall, KernelCall } from './kernel-calls.ts';
import type { OnHost } from './host-memory.ts';
import { hiddenInputs } from './operands.ts';
import { NEWTON_SCHULZ } from './optimizer-calls.ts';
import type { HostArray } from '@troupe/core';

/** What a call asks of a machine, whatever body runs it. */
export interface KernelCost {
  /** Floating-point operations of the definition: an FMA is two, exp, log, sqrt and a division one each; integer work is not counted. */
  readonly flops: number;
  /**
   * Compulsory traffic: every element that the definition reads or writes, once, at its own size; one that is added to counts twice.
   * What a body keeps in scratch is not in it, so a call that hits its caches can beat the memory's bandwidth.
   */
  readonly bytes: number;
}

const I32 = 4;
const I64 = 8;
/** An exact sum is read and written. */
const SUM = 2 * I64;

/** Bytes an element of what a call does to its gradient: adds to a sum, begins one, or stores floats. */
function targetBytes(target: OnHost<GradientTarget> | undefined): number {
  if (target === undefined) return 0;
  if ('gradient' in target) return size(target.gradient);
  return target.begin === true ? I64 : SUM;
}

/** A target of which every element is written, whatever rows there are. */
const isReplaced = (target: OnHost<GradientTarget>): boolean => 'gradient' in target || target.begin === true;

const size = (array: HostArray): number => array.BYTES_PER_ELEMENT;
const elements = (arrays: readonly (HostArray | undefined)[], count: number): number =>
  arrays.reduce((sum, array) => sum + (array === undefined ? 0 : size(array) * count), 0);

/** The compiler refuses this for an operation that has no case. */
function unknown(call: never): never {
  throw new InvariantError(`a call has no cost: ${(call as KernelCall).op}`);
}

/** Pairs of a query and a key it sees, of one head. */
function seenPairs({ batch, seqLen, firstSeen_T, endSeen_T }: OnHost<AttentionCall>): number {
  const tokens = batch * seqLen;
  if (endSeen_T === undefined) {
    let causal = (tokens * (seqLen + 1)) / 2;
    if (firstSeen_T !== undefined) for (const first of firstSeen_T.subarray(0, tokens)) causal -= first;
    return causal;
  }
  let pairs = 0;
  for (let t = 0; t < tokens; t++) pairs += Math.max(0, endSeen_T[t]! - (firstSeen_T?.[t] ?? 0));
  return pairs;
}

/** Elements of queries (and what is as long), and of keys. */
function attentionSizes({
  batch,
  seqLen,
  keyLen = seqLen,
  heads,
  kvHeads,
  headDim,
}: OnHost<AttentionCall>): readonly [number, number] {
  return [batch * seqLen * heads * headDim, batch * keyLen * kvHeads * headDim];
}

const biasBytes = ({ bias, heads }: OnHost<AttentionCall>, sum?: OnHost<GradientTarget>): number =>
  bias === undefined ? 0 : (size(bias.table_BH) + targetBytes(sum)) * bias.buckets * heads;

const isSmoothed = ({ smoothing = 0 }: { readonly smoothing?: number }): boolean => smoothing > 0;

/** Rows of all sources, and experts that have any. */
function expertLoad(
  sources: readonly Pick<OnHost<ExpertSource>, 'counts_EG' | 'numGrains'>[],
  numExperts: number,
): { readonly rows: number; readonly activeExperts: number } {
  let [rows, activeExperts] = [0, 0];
  for (let expert = 0; expert < numExperts; expert++) {
    let own = 0;
    for (const { counts_EG, numGrains } of sources)
      for (let grain = 0; grain < numGrains; grain++) own += counts_EG[expert * numGrains + grain] ?? 0;
    rows += own;
    if (own > 0) activeExperts++;
  }
  return { rows, activeExperts };
}

const partRows = ({ parts }: Pick<OnHost<CombineCall>, 'parts'>): number =>
  parts.reduce((sum, part) => sum + part.rows, 0);

/**
 * FLOPs and bytes of a call: a pure function of its sizes, and of the counts of rows and document starts that it points at, which must
 * hold their final contents. It looks into these, so it is for bodies whose memory is the process's own.
 */
export function callCost(call: OnHost<KernelCall>): KernelCost {
  switch (call.op) {
    case 'fill':
      return { flops: 0, bytes: call.out.byteLength };
    case 'copy':
      return { flops: 0, bytes: 2 * call.out.byteLength };
    case 'round.bf16':
      return { flops: 0, bytes: call.x.byteLength + call.out.byteLength };
    case 'partials.add': {
      const terms = call.parts.length + (call.base === undefined ? 0 : 1);
      return { flops: (terms - 1) * call.out.length, bytes: (terms + 1) * call.out.byteLength };
    }
    case 'embed.forward': {
      const tokens = call.ids_T.length;
      return {
        flops: 0,
        bytes: I32 * tokens + elements([call.table_VD, call.out_TD], tokens * call.dim),
      };
    }
    case 'embed.backward': {
      const count = call.ids_T.length * call.dim;
      const table = 'gradient' in call.tableSum ? call.tableSum.gradient.length : call.tableSum.values.length;
      const written = isReplaced(call.tableSum) ? table : count;
      return {
        flops: count,
        bytes: I32 * call.ids_T.length + size(call.dOut_TD) * count + targetBytes(call.tableSum) * written,
      };
    }
    case 'norm.forward': {
      const count = call.rows * call.groups * call.dim;
      const stats = call.rows * call.groups * (call.kind === 'layer' ? 2 : 1);
      return {
        flops: (call.kind === 'layer' ? 8 : 4) * count,
        bytes:
          elements([call.x.data, call.out.data], count) +
          elements([call.weight, call.bias], call.dim) +
          size(call.stats) * stats,
      };
    }
    case 'norm.squares':
      return {
        flops: 2 * call.rows * call.dim,
        bytes: elements([call.x.data], call.rows * call.dim) + elements([call.out_T], call.rows),
      };
    case 'norm.products':
      return {
        flops: 4 * call.rows * call.dim,
        bytes:
          elements([call.x.data, call.dOut.data], call.rows * call.dim) +
          elements([call.weight], call.dim) +
          elements([call.stats, call.out_T], call.rows),
      };
    case 'norm.backward': {
      const count = call.rows * call.groups * call.dim;
      const stats = call.rows * call.groups * (call.kind === 'layer' ? 2 : 1);
      const dx = call.accumulate ? [call.dx.data, call.dx.data] : [call.dx.data];
      return {
        flops: (call.kind === 'layer' ? 14 : 10) * count,
        bytes:
          elements([call.x.data, call.dOut.data, ...dx], count) +
          (size(call.weight) + targetBytes(call.weightSum) + targetBytes(call.biasSum)) * call.dim +
          size(call.stats) * stats,
      };
    }
    case 'linear.forward': {
      const { rows, inDim, outDim } = call;
      const start = call.accumulate === true ? call.out.data : call.residual?.data;
      return {
        flops: 2 * rows * inDim * outDim,
        bytes:
          size(call.x.data) * rows * inDim +
          size(call.weight) * inDim * outDim +
          elements([call.out.data, start], rows * outDim),
      };
    }
    case 'linear.backward.input': {
      const { rows, inDim, outDim } = call;
      return {
        flops: 2 * rows * inDim * outDim,
        bytes:
          size(call.dOut.data) * rows * outDim +
          size(call.weight) * inDim * outDim +
          size(call.dx.data) * rows * inDim * (call.accumulate === true ? 2 : 1),
      };
    }
    case 'linear.backward.weight': {
      const { rows, inDim, outDim } = call;
      return {
        flops: 2 * rows * inDim * outDim,
        bytes:
          size(call.dOut.data) * rows * outDim +
          size(call.x.data) * rows * inDim +
          targetBytes(call.weightSum) * inDim * outDim,
      };
    }
    case 'rope': {
      const count = call.rows * call.heads * call.headDim;
      return {
        flops: 3 * count,
        bytes:
          2 * size(call.x.data) * count +
          elements([call.cos_S2, call.sin_S2], (Math.min(call.rows, call.seqLen) * call.headDim) / 2),
      };
    }
    case 'positions.add': {
      const count = call.rows * call.dim;
      return {
        flops: count,
        bytes:
          2 * size(call.out_TD) * count +
          size(call.table_SD) * Math.min(call.rows, call.seqLen) * call.dim +
          elements([call.firstSeen_T], call.rows),
      };
    }
    case 'attention.forward': {
      const tokens = call.batch * call.seqLen;
      const [own, shared] = attentionSizes(call);
      return {
        // Two products a pair; the softmax is another four.
        flops: seenPairs(call) * call.heads * (4 * call.headDim + 4 + (call.bias === undefined ? 0 : 1)),
        bytes:
          elements([call.q.data, call.out.data], own) +
          elements([call.k.data, call.v.data], shared) +
          size(call.lse_TH) * tokens * call.heads +
          biasBytes(call),
      };
    }
    case 'attention.backward': {
      const tokens = call.batch * call.seqLen;
      const [own, shared] = attentionSizes(call);
      return {
        // Five products a pair: scores again, dP, dQ, dK, dV; the softmax and its gradient are another six.
        flops:
          seenPairs(call) * call.heads * (10 * call.headDim + 6 + (call.bias === undefined ? 0 : 2)) +
          2 * own,
        bytes:
          elements([call.q.data, call.out.data, call.dOut.data, call.dq.data], own) +
          elements([call.k.data, call.v.data, call.dk.data, call.dv.data], shared) +
          size(call.lse_TH) * tokens * call.heads +
          biasBytes(call, call.biasSum),
      };
    }
    case 'gate.forward': {
      const [all, chosen] = [call.tokens * call.experts, call.tokens * call.topK];
      return {
        flops: 4 * all + (call.renormalise ? 2 * chosen : 0),
        bytes:
          elements([call.logits_TE, call.probs_TE], all) +
          elements([call.choices_TK, call.weights_TK], chosen),
      };
    }
    case 'jitter': {
      const count = call.rows * call.dim;
      return { flops: 3 * count, bytes: elements([call.x, call.out], count) };
    }
    case 'gate.sample': {
      const [all, chosen] = [call.tokens * call.experts, call.tokens * call.topK];
      return { flops: 4 * all, bytes: elements([call.logits_TE], all) + I32 * chosen };
    }
    case 'route.select': {
      const chosen = call.tokens * call.topK;
      const read = call.policy === 'probability' ? elements([call.probs_TE], chosen) : 0;
      return { flops: 0, bytes: 2 * I32 * chosen + read };
    }
    case 'gate.weigh': {
      const chosen = call.tokens * call.topK;
      const inputs = call.divisor_TK === undefined ? 1 : 2;
      return {
        flops: call.renormalise ? 2 * chosen : 0,
        // At most one probability a place.
        bytes: I32 * inputs * chosen + elements([call.probs_TE, call.weights_TK], chosen),
      };
    }
    case 'bias.count':
      return { flops: 0, bytes: I32 * call.tokens * call.topK + 2 * 8 * call.experts };
    case 'bias.step':
      return {
        flops: call.sum.length,
        bytes: call.sum.byteLength + elements([call.bias, call.out], call.sum.length),
      };
    case 'threshold.count':
      return { flops: 0, bytes: 5 * I64 * call.experts };
    case 'threshold.step':
      return {
        flops: 3 * call.sum.length,
        bytes: call.sum.byteLength + elements([call.thresholds, call.out], call.sum.length),
      };
    case 'balance.forward': {
      const [all, chosen] = [call.tokens * call.experts, call.tokens * call.topK];
      return {
        flops: 4 * all,
        bytes: elements([call.logits_TE, call.probs_TE], all) + I32 * chosen + call.fractions_BE.byteLength,
      };
    }
    case 'gate.backward': {
      const [all, chosen] = [call.tokens * call.experts, call.tokens * call.topK];
      return {
        flops: 6 * all,
        bytes:
          elements([call.logits_TE, call.probs_TE, call.dLogits_TE], all) +
          elements([call.choices_TK, call.weights_TK, call.dWeights_TK], chosen) +
          call.fractions.byteLength,
      };
    }
    case 'choice.candidates': {
      const groups = (call.tokens / call.partSequences) * call.experts;
      return {
        flops: 0,
        bytes:
          size(call.probs_TE) * call.tokens * call.experts +
          I64 * groups * call.take +
          I32 * (call.tokens / call.partSequences),
      };
    }
    case 'choice.thresholds': {
      const groups = call.positions * call.experts;
      return {
        flops: 0,
        bytes: call.sources.length * (I64 * groups * call.take + I32 * call.positions) + I64 * groups,
      };
    }
    case 'choice.take':
      return {
        flops: 0,
        bytes:
          (size(call.probs_TE) + I32) * call.tokens * call.experts +
          I64 * (call.tokens / call.partSequences) * call.experts,
      };
    case 'choice.above':
      return { flops: 0, bytes: (size(call.probs_TE) + I32) * call.tokens * call.experts };
    case 'route.plan':
      // Choices in; positions, slots, choices of rows and distinct tokens out.
      return { flops: 0, bytes: I32 * (5 * call.tokens * call.topK + call.counts_EG.length) };
    case 'gather':
      return { flops: 0, bytes: I32 * call.rows + elements([call.x, call.out], call.rows * call.dim) };
    case 'gather.scalars':
      return { flops: 0, bytes: I32 * call.count + elements([call.values, call.out], call.count) };
    case 'combine': {
      const [count, chosen] = [call.tokens * call.dim, call.tokens * call.topK];
      const rows = partRows(call);
      return {
        flops: 2 * rows * call.dim,
        bytes:
          call.parts.reduce((sum, part) => sum + size(part.data) * part.rows * call.dim, 0) +
          elements([call.position_TK, call.weights_TK], chosen) +
          elements([call.base_TD, call.out_TD], count),
      };
    }
    case 'combine.backward.weights': {
      const rows = partRows(call);
      return {
        flops: 2 * rows * call.dim,
        bytes:
          call.parts.reduce((sum, part) => sum + size(part.data) * part.rows * call.dim, 0) +
          elements([call.position_TK, call.dWeights_TK], call.tokens * call.topK) +
          size(call.dOut_TD) * call.tokens * call.dim,
      };
    }
    case 'experts.forward': {
      const { rows, activeExperts } = expertLoad(call.sources, call.experts);
      const inner = hiddenInputs(call.activation) * call.hidden;
      const [x, y] = [call.sources[0]?.x_UD, call.sources[0]?.y_ND];
      return {
        flops: 2 * rows * call.dim * (inner + call.hidden) + 4 * rows * call.hidden,
        bytes:
          elements([x, y, call.accumulate === true ? y : undefined], rows * call.dim) +
          elements([call.weights], activeExperts * call.dim * (inner + call.hidden)) +
          elements([call.saved], rows * inner),
      };
    }
    // What a layer of the user's computes is not known; its rows and weights are.
    case 'expert-layer.forward': {
      const { rows } = expertLoad(call.sources, call.experts);
      const [x, y] = [call.sources[0]?.x_UD, call.sources[0]?.y_ND];
      return { flops: 0, bytes: elements([x, y], rows * call.dim) + call.weights.byteLength };
    }
    case 'expert-layer.backward': {
      const { rows } = expertLoad(call.sources, call.experts);
      const source = call.sources[0];
      return {
        flops: 0,
        bytes:
          elements([source?.x_UD, source?.dOut_UD, source?.dx_ND], rows * call.dim) +
          call.weights.byteLength +
          targetBytes(call.weightSum) * call.weights.length,
      };
    }
    case 'experts.backward':
    case 'experts.backward.input':
    case 'experts.backward.weight': {
      const { rows, activeExperts } = expertLoad(call.sources, call.experts);
      const inner = hiddenInputs(call.activation) * call.hidden;
      const weights = call.dim * (inner + call.hidden);
      const products = 2 * rows * weights;
      const [source] = call.sources;
      const read = elements([source?.dOut_UD], rows * call.dim) + elements([call.saved], rows * inner);
      const [input, target] = [
        call.op === 'experts.backward.weight' ? null : call,
        call.op === 'experts.backward.input' ? null : call.weightSum,
      ];
      const dx = input?.sources[0]?.dx_ND;
      const written = target !== null && isReplaced(target) ? call.experts : activeExperts;
      return {
        flops: (input === null || target === null ? 1 : 2) * products + 10 * rows * call.hidden,
        bytes:
          read +
          (input === null
            ? 0
            : elements([dx, input.accumulate === true ? dx : undefined], rows * call.dim) +
              size(call.weights) * activeExperts * weights) +
          (target === null
            ? 0
            : elements([source?.x_UD], rows * call.dim) + targetBytes(target) * written * weights) +
          ('dSaved' in call ? elements([call.dSaved], rows * inner) : 0),
      };
    }
    case 'head.partial': {
      const { tokens, dim, vocab } = call;
      return {
        flops: 2 * tokens * dim * vocab + (call.logitSum_T === undefined ? 3 : 4) * tokens * vocab,
        bytes:
          elements([call.x_TD], tokens * dim) +
          elements([call.head_VD], dim * vocab) +
          elements([call.targets_T, call.max_T, call.sum_T, call.logit_T, call.logitSum_T], tokens),
      };
    }
    case 'head.join': {
      const { tokens, parts } = call;
      return {
        flops: (4 * parts.length + 3 + (isSmoothed(call) ? parts.length + 3 : 0)) * tokens,
        bytes:
          parts.reduce(
            (sum, { max_T, sum_T, logit_T, logitSum_T }) =>
              sum + elements([max_T, sum_T, logit_T, isSmoothed(call) ? logitSum_T : undefined], tokens),
            0,
          ) + elements([call.targets_T, call.lse_T, call.loss_T], tokens),
      };
    }
    case 'head.finish': {
      const { tokens, dim, vocab } = call;
      return {
        flops: 6 * tokens * dim * vocab + (isSmoothed(call) ? 4 : 3) * tokens * vocab,
        bytes:
          elements([call.x_TD, call.dx_TD], tokens * dim) +
          (size(call.head_VD) + targetBytes(call.headSum)) * dim * vocab +
          elements([call.targets_T, call.lse_T], tokens),
      };
    }
    case 'head.loss': {
      const { tokens, dim, vocab } = call;
      const isTraining = call.dx_TD !== undefined;
      return {
        flops:
          2 * tokens * dim * vocab * (isTraining ? 3 : 1) +
          ((isTraining ? 5 : 3) + (isSmoothed(call) ? (isTraining ? 2 : 1) : 0)) * tokens * vocab,
        bytes:
          elements([call.x_TD, call.dx_TD], tokens * dim) +
          (size(call.head_VD) + targetBytes(call.headSum)) * dim * vocab +
          elements([call.targets_T, call.loss_T], tokens),
      };
    }
    case 'sum.add':
      return { flops: 0, bytes: (SUM + I64) * call.other.length };
    case 'sum.reset':
      return { flops: 0, bytes: I64 * call.sum.values.length };
    case 'sum.read':
      return { flops: call.sum.length, bytes: (I64 + size(call.out)) * call.sum.length };
    case 'sum.squares':
      return { flops: 3 * call.gradient.length, bytes: size(call.gradient) * call.gradient.length };
    case 'adafactor': {
      const count = call.weights.length;
      return {
        flops: 14 * count,
        bytes: elements(
          [call.gradient, call.gradient, call.weights, call.out, call.work, call.work, call.work],
          count,
        ),
      };
    }
    case 'muon': {
      const [small, large] = [Math.min(call.rows, call.columns), Math.max(call.rows, call.columns)];
      const count = small * large;
      return {
        flops: NEWTON_SCHULZ.rounds * (4 * small ** 2 * large + 2 * small ** 3) + 12 * count,
        bytes:
          elements([call.gradient, call.weights, call.out, call.m, call.m], count) +
          NEWTON_SCHULZ.rounds * elements([call.work], 5 * count + 6 * small ** 2),
      };
    }
    case 'sgd': {
      const count = call.weights.length;
      return {
        flops: 6 * count,
        bytes: elements([call.gradient, call.weights, call.out, call.v, call.v], count),
      };
    }
    case 'adamw': {
      const count = call.weights.length;
      return {
        flops: 16 * count,
        bytes: elements([call.gradient, call.weights, call.out, call.m, call.m, call.v, call.v], count),
      };
    }
    default:
      return unknown(call);
  }
}
