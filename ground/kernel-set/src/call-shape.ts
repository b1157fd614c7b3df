import { InvariantError } from '@troupe/core';
import type { AttentionCall } from './attention-calls.ts';
import type { KernelCall } from './kernel-calls.ts';

/** The compiler refuses this for an operation that has no case. */
function unknown(call: never): never {
  throw new InvariantError(`a call has no shape: ${(call as KernelCall).op}`);
}

/** Of keys, where it is not that of queries. */
const otherLength = ({ seqLen, keyLen = seqLen }: AttentionCall): string =>
  keyLen === seqLen ? '' : `×${keyLen}`;

/**
 * The sizes of a call in a few characters, for a table of calls: `4096×256→1024`. Sizes that change from step to step, such as the rows
 * of an expert, are left out, so that calls of one place in a model look the same.
 */
export function callShape(call: KernelCall): string {
  return `${sizesOf(call)}${'precision' in call && call.precision === 'bf16' ? ', bf16' : ''}`;
}

function sizesOf(call: KernelCall): string {
  switch (call.op) {
    case 'fill':
    case 'copy':
    case 'round.bf16':
    case 'partials.add':
      return `${call.out.length}`;
    case 'embed.forward':
    case 'embed.backward':
      return `${call.ids_T.length}×${call.dim}`;
    case 'norm.forward':
    case 'norm.backward':
      return `${call.rows}×${call.groups === 1 ? '' : `${call.groups}×`}${call.dim}`;
    case 'jitter':
    case 'positions.add':
    case 'norm.squares':
    case 'norm.products':
      return `${call.rows}×${call.dim}`;
    case 'linear.forward':
    case 'linear.backward.input':
    case 'linear.backward.weight':
      return `${call.rows}×${call.inDim}→${call.outDim}`;
    case 'rope':
      return `${call.rows}×${call.heads}×${call.headDim}`;
    case 'attention.forward':
    case 'attention.backward':
      return `${call.batch}×${call.seqLen}${otherLength(call)}, ${call.heads}/${call.kvHeads} heads of ${call.headDim}`;
    case 'gate.forward':
    case 'gate.sample':
    case 'route.select':
    case 'gate.weigh':
    case 'bias.count':
    case 'balance.forward':
    case 'gate.backward':
    case 'route.plan':
      return `${call.tokens}×${call.experts} top ${call.topK}`;
    case 'choice.candidates':
    case 'choice.take':
      return `${call.tokens}×${call.experts} in groups of ${call.groupSequences}`;
    case 'choice.thresholds':
      return `${call.positions}×${call.experts} in groups of ${call.groupSequences}`;
    case 'threshold.count':
      return `${call.experts}`;
    case 'choice.above':
      return `${call.tokens}×${call.experts}`;
    case 'gather':
      return `rows of ${call.dim}`;
    case 'gather.scalars':
      return 'scalars';
    case 'combine':
    case 'combine.backward.weights':
      return `${call.tokens}×${call.topK} of ${call.dim}`;
    case 'expert-layer.forward':
    case 'expert-layer.backward':
      return `${call.layer.name}: ${call.experts} × ${call.dim}`;
    case 'experts.forward':
    case 'experts.backward':
    case 'experts.backward.input':
    case 'experts.backward.weight':
      return `${call.experts} × ${call.dim}→${call.hidden}`;
    case 'head.loss':
    case 'head.partial':
    case 'head.finish':
      return `${call.tokens}×${call.dim}→${call.vocab}`;
    case 'head.join':
      return `${call.tokens} of ${call.parts.length} parts`;
    case 'sum.add':
      return `${call.other.length}`;
    case 'sum.reset':
      return `${call.sum.values.length}`;
    case 'sum.read':
    case 'bias.step':
    case 'threshold.step':
      return `${call.sum.length}`;
    case 'sum.squares':
      return `${call.gradient.length}`;
    case 'adafactor':
    case 'muon':
      return `${call.rows}x${call.columns}`;
    case 'sgd':
    case 'adamw':
      return `${call.weights.length}`;
    default:
      return unknown(call);
  }
}
