import type {
  DeviceArray,
  ExpertSource,
  Floats,
  Halves,
  Ints,
  KernelCall,
  RowsPart,
} from '@troupe/kernel-set';
import type { RankShare } from './rank-shares.ts';
import type { RowChunk } from './row-chunk.ts';
import { numHeld } from './tensor-share.ts';

/** What one rank of the expert-parallel group gets of a chunk from this gate. U distinct tokens, N rows, D model. */
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

/**
 * Rows' tokens when nothing is packed. `slots_N` counts the tokens that have an expert; when all have one (no padding,
 * nothing dropped) that is the token itself, else it is worked out from the choice.
 */
function directSlots(chunk: RowChunk, { numTokens, numRows }: RankShare): Ints {
  const { act, moe, topK } = chunk;
  if (numTokens === chunk.tokens) return chunk.ofChoices(moe.slots_N).subarray(0, numRows);
  const { device } = act;
  const choices = device.read(chunk.ofChoices(moe.choiceOfRow_N).subarray(0, numRows));
  const tokens = new Int32Array(numRows);
  for (let row = 0; row < numRows; row++) tokens[row] = Math.floor((choices[row] ?? 0) / topK);
  const tokens_N = chunk.ofChoices(moe.tokens_N).subarray(0, numRows);
  device.write(tokens_N, tokens);
  return tokens_N;
}

/** Rows of one rank: where they lie, and whether they go to another device. */
interface Packing {
  readonly rank: number;
  /** Its experts compute elsewhere: rows in bf16 are packed for the wire. Default false. */
  readonly travels?: boolean;
}

const isRounded = ({ act }: RowChunk): boolean => act.shape.rowFormat === 'bf16';
const dimOf = ({ act }: RowChunk): number => act.shape.config.dModel;

/** Part of the send buffer that holds the rows of `rank`. */
function partOf<E extends 'f32' | 'bf16'>(
  chunk: RowChunk,
  rank: number,
  buffer: DeviceArray<E>,
): DeviceArray<E> {
  const dim = dimOf(chunk);
  const own = chunk.ofDistinct(buffer);
  if (chunk.act.ranks === 1) return own.subarray(0, chunk.tokens * dim);
  const { firstToken, numTokens } = chunk.shares.of(rank);
  return own.subarray(firstToken * dim, (firstToken + numTokens) * dim);
}

/**
 * Distinct rows of `from` that `rank` needs → its part of `packed`, rounded to the format of the wire, or of the buffer of travelling
 * rows. A group of one rank needs no gathering: in f32 nothing is done.
 */
function pack(
  chunk: RowChunk,
  { rank, travels = false }: Packing,
  { from_TD, packed }: { readonly from_TD: Floats; readonly packed: Floats },
): KernelCall[] {
  const { act, tokens } = chunk;
  const dim = dimOf(chunk);
  const isOne = act.ranks === 1;
  const { numTokens } = chunk.shares.of(rank);
  const first = rank * tokens;
  const from = chunk.ofTokens(from_TD, dim);
  const gather: KernelCall[] = isOne
    ? []
    : [
        {
          op: 'gather',
          rows: numTokens,
          dim,
          x: from,
          index: chunk.rankTokens.subarray(first, first + numTokens),
          out: partOf(chunk, rank, packed),
        },
      ];
  if (!isRounded(chunk)) return gather;
  const x = isOne ? from : partOf(chunk, rank, packed);
  const out = travels ? partOf(chunk, rank, act.travelling_UD) : partOf(chunk, rank, packed);
  return [...gather, { op: 'round.bf16', x, out }];
}

function packedRows(chunk: RowChunk, rank: number, packed: Floats, all_TD: Floats): Floats {
  return chunk.act.ranks === 1 && !isRounded(chunk)
    ? chunk.ofTokens(all_TD, dimOf(chunk))
    : partOf(chunk, rank, packed);
}

/** The distinct tokens of normed[l] that a rank needs → the send buffer. Needs a completed `gateForward`. */
export function packTokens(chunk: RowChunk, packing: Packing): KernelCall[] {
  const { normed_TD } = chunk.act.layer(chunk.layer);
  return pack(chunk, packing, { from_TD: normed_TD, packed: chunk.moe.packed_UD });
}

/** The send buffer of `packTokens`, [U, D]; with one rank and f32 normed[l] itself, [T, D]. Kept until the backward pass. */
export function packedTokens(chunk: RowChunk, rank: number): Floats {
  return packedRows(chunk, rank, chunk.moe.packed_UD, chunk.act.layer(chunk.layer).normed_TD);
}

/** What leaves for a rank elsewhere: `rows` as they are, or in bf16 what the last packing for it made of them. */
export function travellingRows(chunk: RowChunk, rank: number, rows: Floats): Floats | Halves {
  return isRounded(chunk) ? partOf(chunk, rank, chunk.act.travelling_UD) : rows;
}

/**
 * What the experts of `rank` compute on. Needs a completed `gateForward`; the arrays are views that stay as they are
 * until the next forward pass of these activations.
 */
export function expertSource(chunk: RowChunk, rank: number): RankSource {
  const { act, moe } = chunk;
  const share = chunk.shares.of(rank);
  return {
    x_UD: packedTokens(chunk, rank),
    slots_N:
      act.ranks === 1
        ? directSlots(chunk, share)
        : chunk.ofChoices(moe.slots_N).subarray(share.firstRow, share.firstRow + share.numRows),
    counts_EG: chunk.countsOf(rank),
    numGrains: chunk.grains,
    numTokens: act.ranks === 1 ? chunk.tokens : share.numTokens,
    numRows: share.numRows,
  };
}

/** The rows of dRouted that a rank needs → the send buffer, which the next layer's pass uses again. */
export function packGradients(chunk: RowChunk, packing: Packing): KernelCall[] {
  const { dRouted_TD, dPacked_UD } = chunk.act.gradients;
  return pack(chunk, packing, { from_TD: dRouted_TD, packed: dPacked_UD });
}

/** Output gradients and combine weights for the experts of `rank`, with the slots of its {@link expertSource}. */
export function expertGradientSource(chunk: RowChunk, rank: number): RankGradientSource {
  const { dRouted_TD, dPacked_UD } = chunk.act.gradients;
  const { firstRow, numRows } = chunk.shares.of(rank);
  return {
    dOut_UD: packedRows(chunk, rank, dPacked_UD, dRouted_TD),
    rowWeights_N: chunk.ofChoices(chunk.moe.rowWeights_N).subarray(firstRow, firstRow + numRows),
  };
}

/** The rows of one rank in a chunk. */
export interface ReturnedRows {
  /** All of them: those of one segment of the experts after those of the other, each [N, D]. */
  readonly data: Floats;
  /** The same by segment. */
  readonly segments: readonly RowsPart[];
}

function rowsOf(chunk: RowChunk, rank: number, all: Floats): ReturnedRows {
  const dim = dimOf(chunk);
  const { firstRow, numRows } = chunk.shares.of(rank);
  const held = numHeld(chunk.act.tensor.expertSegments);
  const [first, size] = [held * firstRow * dim, numRows * dim];
  const own = chunk.ofRows(all);
  return {
    data: own.subarray(first, first + held * size),
    segments: Array.from({ length: held }, (_, index) => ({
      firstRow,
      rows: numRows,
      data: own.subarray(first + index * size, first + (index + 1) * size),
    })),
  };
}

/** Where the outputs of `rank` belong: a local expert writes here, a remote one's frames are copied here. */
export function returnedRows(chunk: RowChunk, rank: number): ReturnedRows {
  return rowsOf(chunk, rank, chunk.moe.returned_ND);
}

/** Where the input gradients of `rank` belong. */
export function returnedGradients(chunk: RowChunk, rank: number): ReturnedRows {
  return rowsOf(chunk, rank, chunk.act.gradients.dReturned_ND);
}
