import type { ExpertSource, Floats, Ints, KernelCall, RowsPart } from '@troupe/kernel-set';
import type { MoeActivations } from './activations.ts';
import type { RankShare } from './rank-shares.ts';
import type { StageContext } from './stage-context.ts';

/** What one rank of the expert-parallel group gets from this gate. U distinct tokens, N rows, D model. */
export interface RankSource extends ExpertSource {
  readonly slots_N: Ints;
  readonly numTokens: number;
  readonly numRows: number;
}

/** The backward counterpart: gradients of the combined outputs of the same distinct tokens. */
export interface RankGradientSource {
  readonly dOut_UD: Floats;
  readonly rowWeights_N: Floats;
}

const topKOf = (ctx: StageContext): number => ctx.shape.config.moe?.topK ?? 0;

/**
 * Rows' tokens when nothing is packed. `slots_N` counts the tokens that have an expert; when all have one (no padding,
 * nothing dropped) that is the token itself, else it is worked out from the choice.
 */
function directSlots(ctx: StageContext, moe: MoeActivations, { numTokens, numRows }: RankShare): Ints {
  if (numTokens === ctx.act.tokens) return moe.slots_N.subarray(0, numRows);
  const topK = topKOf(ctx);
  const { device } = ctx.act;
  const choices = device.read(moe.choiceOfRow_N.subarray(0, numRows));
  const tokens = new Int32Array(numRows);
  for (let row = 0; row < numRows; row++) tokens[row] = Math.floor((choices[row] ?? 0) / topK);
  device.write(moe.tokens_N, tokens);
  return moe.tokens_N.subarray(0, numRows);
}

/** Distinct rows of `from` that `rank` needs → its part of `out`; nothing when the group is one rank. */
function pack(ctx: StageContext, layer: number, rank: number, from: Floats, out: Floats): KernelCall[] {
  const { act } = ctx;
  if (act.ranks === 1) return [];
  const dim = ctx.shape.config.dModel;
  const moe = act.moe(layer);
  const { firstToken, numTokens } = moe.shares.of(rank);
  const first = rank * act.tokens;
  return [
    {
      op: 'gather',
      rows: numTokens,
      dim,
      x: from,
      index: moe.rankTokens.subarray(first, first + numTokens),
      out: out.subarray(firstToken * dim, (firstToken + numTokens) * dim),
    },
  ];
}

function packedRows(ctx: StageContext, layer: number, rank: number, packed: Floats, all: Floats): Floats {
  if (ctx.act.ranks === 1) return all;
  const dim = ctx.shape.config.dModel;
  const { firstToken, numTokens } = ctx.act.moe(layer).shares.of(rank);
  return packed.subarray(firstToken * dim, (firstToken + numTokens) * dim);
}

/** Gathers the distinct tokens of normed[l] that `rank` needs into the send buffer. Needs a completed `gateForward`. */
export function packTokens(ctx: StageContext, layer: number, rank: number): KernelCall[] {
  return pack(ctx, layer, rank, ctx.act.layer(layer).normed_TD, ctx.act.moe(layer).packed_UD);
}

/** The send buffer of `packTokens`, [U, D]; with one rank normed[l] itself, [T, D]. Kept until the backward pass. */
export function packedTokens(ctx: StageContext, layer: number, rank: number): Floats {
  return packedRows(ctx, layer, rank, ctx.act.moe(layer).packed_UD, ctx.act.layer(layer).normed_TD);
}

/**
 * What the experts of `rank` compute on. Needs a completed `gateForward`; the arrays are views that stay as they are
 * until the next forward pass of these activations.
 */
export function expertSource(ctx: StageContext, layer: number, rank: number): RankSource {
  const { act } = ctx;
  const moe = act.moe(layer);
  const share = moe.shares.of(rank);
  const { first, end } = act.expertRanks(layer).of(rank);
  const { grains } = ctx.shape;
  return {
    x_UD: packedTokens(ctx, layer, rank),
    slots_N:
      act.ranks === 1
        ? directSlots(ctx, moe, share)
        : moe.slots_N.subarray(share.firstRow, share.firstRow + share.numRows),
    counts_EG: moe.counts_EG.subarray(first * grains, end * grains),
    numGrains: ctx.shape.grains,
    numTokens: act.ranks === 1 ? act.tokens : share.numTokens,
    numRows: share.numRows,
  };
}

/** Gathers the rows of dHidden that `rank` needs into the send buffer, which the next layer's pass uses again. */
export function packGradients(ctx: StageContext, layer: number, rank: number): KernelCall[] {
  const { dHidden_TD, dPacked_UD } = ctx.act.gradients;
  return pack(ctx, layer, rank, dHidden_TD, dPacked_UD);
}

/** Output gradients and combine weights for the experts of `rank`, with the slots of its {@link expertSource}. */
export function expertGradientSource(ctx: StageContext, layer: number, rank: number): RankGradientSource {
  const { dHidden_TD, dPacked_UD } = ctx.act.gradients;
  const moe = ctx.act.moe(layer);
  const { firstRow, numRows } = moe.shares.of(rank);
  return {
    dOut_UD: packedRows(ctx, layer, rank, dPacked_UD, dHidden_TD),
    rowWeights_N: moe.rowWeights_N.subarray(firstRow, firstRow + numRows),
  };
}

function rowsOf(ctx: StageContext, layer: number, rank: number, all: Floats): RowsPart {
  const dim = ctx.shape.config.dModel;
  const { firstRow, numRows } = ctx.act.moe(layer).shares.of(rank);
  return { firstRow, rows: numRows, data: all.subarray(firstRow * dim, (firstRow + numRows) * dim) };
}

/** Where the outputs of `rank` belong, [N, D]: a local expert writes here, a remote one's frames are copied here. */
export function returnedRows(ctx: StageContext, layer: number, rank: number): RowsPart {
  return rowsOf(ctx, layer, rank, ctx.act.moe(layer).returned_ND);
}

/** Where the input gradients of `rank` belong, [N, D]. */
export function returnedGradients(ctx: StageContext, layer: number, rank: number): RowsPart {
  return rowsOf(ctx, layer, rank, ctx.act.gradients.dReturned_ND);
}
