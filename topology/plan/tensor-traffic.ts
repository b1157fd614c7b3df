import { ownTokens } from '@troupe/model/buffers';
import { blockOf, choiceWidth, positionsOf, seqLenOf } from '@troupe/spec';
import type { Layout } from '../layout/layout.ts';
import type { WorkerRank } from '../layout/rank.ts';
import type { ResolvedTopology } from '../resolved.ts';
import { shapeOf } from './stage-buffers.ts';

/** The share of its replica's tokens whose rows a worker sends to experts: all of them, or some where tensor peers have whole experts. */
export function dealtShare(topology: ResolvedTopology, layout: Layout, worker: WorkerRank): number {
  const shape = shapeOf(topology, layout, layout.at(worker).tp);
  return ownTokens(shape) / (shape.sequences * topology.model.seqLen);
}

/** Numbers of one sequence that a worker shares in a layer of a step, forward and backward. */
function layerNumbers({ model, train }: ResolvedTopology, layer: number, dealt: number): number {
  const { dModel, qkNorm } = model;
  const { cross, ffn } = blockOf(model, layer);
  const passes = train.recompute === 'layer' ? 3 : 2;
  const own = passes * (dModel + (qkNorm === 'full' ? 2 : 0) + (cross === null ? 0 : dModel));
  // Of experts nothing is computed again; backward the gradients of combine weights come first.
  const behind =
    ffn.kind === 'dense'
      ? passes * dModel
      : (ffn.sharedHidden > 0 ? 2 * dModel : 0) + dealt * (2 * dModel + choiceWidth(ffn.moe));
  // The gradient of the memory that a block reads is of its rows.
  const memory = cross === null ? 0 : dModel * seqLenOf(model, 0);
  return (own + behind) * seqLenOf(model, layer) + memory;
}

/**
 * Bytes of the partial sums that a worker sends each of its tensor peers in a step: behind attention (its own and that to a memory) and FFN in each
 * direction, of the embedding and of the head. Where experts are whole, what they made of the tokens that this worker dispatched.
 */
export function tensorBytes(topology: ResolvedTopology, layout: Layout, worker: WorkerRank): number {
  const { model, train } = topology;
  if (layout.mesh.tp === 1) return 0;
  const { pp, tp } = layout.at(worker);
  const dealt = dealtShare(topology, layout, worker);
  const { blocks, hasEmbedding, hasHead } = layout.stagePlan(pp);
  const { from, to } = layout.segmentsOf(tp);
  const headSums = train.labelSmoothing > 0 ? 4 : 3;
  const numbers =
    blocks.reduce((sum, layer) => sum + layerNumbers(topology, layer, dealt), 0) +
    (hasEmbedding ? model.dModel * positionsOf(model) : 0) +
    (hasHead ? (model.dModel + headSums * (to - from)) * model.seqLen : 0);
  return 4 * numbers * (train.batch / layout.mesh.dp);
}
