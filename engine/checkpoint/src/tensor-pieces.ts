import { numElements } from './safetensors-header.ts';
import { Tiling } from './tiling.ts';

/** Where a piece lies in its tensor: one run of elements from `offset` on, or rows of `rowLength` that begin `rowStride` apart. */
export interface PiecePlace {
  readonly offset: number;
  readonly rowLength?: number;
  readonly rowStride?: number;
}

/** A piece of a tensor, in a file of its part. */
export interface TensorPiece extends PiecePlace {
  readonly file: string;
  readonly key: string;
  /** Elements. */
  readonly length: number;
  readonly sha256: string;
}

/** Elements from `start` up to `end` of a tensor, which lie at `from` in a piece of it. */
export interface Run {
  readonly start: number;
  readonly end: number;
  readonly from: number;
}

/** Most runs of all pieces of a tensor: a file that claims more is refused before anything goes through them. */
const RUNS_MAX = 2 ** 22;

/** What of a piece lies between two elements of its tensor, in the order of both. */
export function runsWithin(
  { offset, length, rowLength = length, rowStride = rowLength }: PiecePlace & { readonly length: number },
  start: number,
  end: number,
): readonly Run[] {
  if (length === 0) return [];
  const first = Math.max(0, Math.floor((start - offset) / rowStride));
  const last = Math.min(length / rowLength, Math.ceil((end - offset) / rowStride));
  const runs: Run[] = [];
  for (let row = first; row < last; row++) {
    const at = offset + row * rowStride;
    const from = Math.max(start, at);
    const to = Math.min(end, at + rowLength);
    if (from < to) runs.push({ start: from, end: to, from: row * rowLength + from - at });
  }
  return runs;
}

/** Why pieces are not all of a tensor, each element once; null: they are. */
export function tilingProblem(
  shape: readonly number[],
  pieces: readonly Pick<TensorPiece, 'offset' | 'length' | 'rowLength' | 'rowStride'>[],
): string | null {
  const size = numElements(shape);
  if (pieces.some((piece) => !isPlace(piece, size))) return `has a piece outside of its ${size} elements`;
  const runs = pieces.reduce((sum, { length, rowLength = length }) => sum + length / rowLength, 0);
  if (runs > RUNS_MAX) return `has ${runs} runs of elements, of at most ${RUNS_MAX}`;
  const tiling = new Tiling(size);
  for (const { start, end } of pieces.flatMap((piece) => runsWithin(piece, 0, size)))
    if (!tiling.add(start, end)) return `has elements of [${start}, ${end}) twice`;
  return tiling.gap === null ? null : `lacks elements from ${tiling.gap.start} to ${tiling.gap.end}`;
}

function isPlace(
  { offset, length, rowLength = length, rowStride = rowLength }: PiecePlace & { readonly length: number },
  size: number,
): boolean {
  const isWhole = [offset, length, rowLength, rowStride].every((each) => Number.isSafeInteger(each));
  if (!isWhole || offset < 0 || length < 1 || rowLength < 1 || length % rowLength !== 0) return false;
  return rowStride >= rowLength && offset + (length / rowLength - 1) * rowStride + rowLength <= size;
}
