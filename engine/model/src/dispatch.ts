import type { ExpertSource, Floats, Halves, Ints, KernelCall, RowsPart } from '@troupe/kernel-set';
import type { MoeActivations } from './layer-activations.ts';
import type { RankShare } from './rank-shares.ts';
import type { StageContext } from './stage-context.ts';
import { numHeld } from './tensor-share.ts';

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

/** Rows of one rank: where they lie, and whether they go to another device. */
interface Packing {
  readonly rank: number;
  /** Its experts compute elsewhere: rows in bf16 are packed for the wire. Default false. */
  readonly travels?: boolean;
}

const isRounded = (ctx: StageContext): boolean => ctx.shape.rowFormat === 'bf16';

/** Part of the send buffer that holds the rows of `rank`. */
function partOf<A extends Floats | Halves>(ctx: StageContext, layer: number, rank: number, buffer: A): A {
  const dim = ctx.shape.config.dModel;
  if (ctx.act.ranks === 1) return buffer.subarray(0, ctx.act.tokens * dim) as A;
  const { firstToken, numTokens } = ctx.act.moe(layer).shares.of(rank);
  return buffer.subarray(firstToken * dim, (firstToken + numTokens) * dim) as A;
}

/**
 * Distinct rows of `from` that `rank` needs → its part of `packed`, rounded to the format of the wire, or of the buffer of travelling
 * rows. A group of one rank needs no gathering: in f32 nothing is done.
 */
function pack(
  ctx: StageContext,
  layer: number,
  { rank, travels = false }: Packing,
  { from, packed }: { readonly from: Floats; readonly packed: Floats },
): KernelCall[] {
  const { act } = ctx;
  const isOne = act.ranks === 1;
  const moe = act.moe(layer);
  const { numTokens } = moe.shares.of(rank);
  const first = rank * act.tokens;
  const gather: KernelCall[] = isOne
    ? []
    : [
        {
          op: 'gather',
          rows: numTokens,
          dim: ctx.shape.config.dModel,
          x: from,
          index: moe.rankTokens.subarray(first, first + numTokens),
          out: partOf(ctx, layer, rank, packed),
        },
      ];
  if (!isRounded(ctx)) return gather;
  const x = isOne ? from : partOf(ctx, layer, rank, packed);
  const out = partOf<Floats | Halves>(ctx, layer, rank, travels ? act.travelling_UD : packed);
  return [...gather, { op: 'round.bf16', x, out }];
}

function packedRows(ctx: StageContext, layer: number, rank: number, packed: Floats, all: Floats): Floats {
  return ctx.act.ranks === 1 && !isRounded(ctx) ? all : partOf(ctx, layer, rank, packed);
}

/** The distinct tokens of normed[l] that a rank needs → the send buffer. Needs a completed `gateForward`. */
export function packTokens(ctx: StageContext, layer: number, packing: Packing): KernelCall[] {
  const { normed_TD } = ctx.act.layer(layer);
  return pack(ctx, layer, packing, { from: normed_TD, packed: ctx.act.moe(layer).packed_UD });
}

/** The send buffer of `packTokens`, [U, D]; with one rank and f32 normed[l] itself, [T, D]. Kept until the backward pass. */
export function packedTokens(ctx: StageContext, layer: number, rank: number): Floats {
  return packedRows(ctx, layer, rank, ctx.act.moe(layer).packed_UD, ctx.act.layer(layer).normed_TD);
}

/** What leaves for a rank elsewhere: `rows` as they are, or in bf16 what the last packing for it made of them. */
export function travellingRows(
  ctx: StageContext,
  layer: number,
  rank: number,
  rows: Floats,
): Floats | Halves {
  return isRounded(ctx) ? partOf(ctx, layer, rank, ctx.act.travelling_UD) : rows;
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

/** The rows of dHidden that a rank needs → the send buffer, which the next layer's pass uses again. */
export function packGradients(ctx: StageContext, layer: number, packing: Packing): KernelCall[] {
  const { dHidden_TD, dPacked_UD } = ctx.act.gradients;
  return pack(ctx, layer, packing, { from: dHidden_TD, packed: dPacked_UD });
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

/** The rows of one rank. */
export interface ReturnedRows {
  /** All of them: those of one segment of the experts after those of the other, each [N, D]. */
  readonly data: Floats;
  /** The same by segment. */
  readonly segments: readonly RowsPart[];
}

function rowsOf(ctx: StageContext, layer: number, rank: number, all: Floats): ReturnedRows {
  const dim = ctx.shape.config.dModel;
  const { firstRow, numRows } = ctx.act.moe(layer).shares.of(rank);
  const held = numHeld(ctx.act.tensor.expertSegments);
  const [first, size] = [held * firstRow * dim, numRows * dim];
  return {
    data: all.subarray(first, first + held * size),
    segments: Array.from({ length: held }, (_, index) => ({
      firstRow,
      rows: numRows,
      data: all.subarray(first + index * size, first + (index + 1) * size),
    })),
  };
}

/** Where the outputs of `rank` belong: a local expert writes here, a remote one's frames are copied here. */
export function returnedRows(ctx: StageContext, layer: number, rank: number): ReturnedRows {
  return rowsOf(ctx, layer, rank, ctx.act.moe(layer).returned_ND);
}

/** Where the input gradients of `rank` belong. */
export function returnedGradients(ctx: StageContext, layer: number, rank: number): ReturnedRows {
  return rowsOf(ctx, layer, rank, ctx.act.gradients.dReturned_ND);
}
