import { assert } from '@troupe/core';
import type { Manifest, ManifestTensor, TensorGroup } from './manifest.ts';
import { numElements } from './safetensors-header.ts';
import { runsWithin, type Run, type TensorPiece } from './tensor-pieces.ts';

/** What a file holds under a key: a tensor, or a piece of one. */
export interface StoredTensor {
  readonly id: string;
  readonly name: string;
  readonly group: TensorGroup;
  readonly file: string;
  readonly key: string;
  /** As it lies there. */
  readonly shape: readonly number[];
  readonly sha256: string;
}

/** One string for what lies under a key of a file. */
export const storedId = (file: string, key: string): string => `${file}\n${key}`;

/** A tensor that lies whole in one file is one piece. */
function piecesOf(tensor: ManifestTensor): readonly TensorPiece[] {
  const { file, key, shape, sha256, pieces } = tensor;
  if (pieces !== undefined) return pieces;
  assert(file !== undefined && key !== undefined, 'a tensor lies in a file, or in pieces', {
    tensor: tensor.name,
  });
  return [{ file, key, offset: 0, length: numElements(shape), sha256 }];
}

/** By file. */
export function storedByFile({ tensors }: Pick<Manifest, 'tensors'>): ReadonlyMap<string, StoredTensor[]> {
  const files = new Map<string, StoredTensor[]>();
  for (const tensor of tensors) {
    const { name, group } = tensor;
    for (const { file, key, length, sha256 } of piecesOf(tensor)) {
      const shape = tensor.pieces === undefined ? tensor.shape : [length];
      const stored = { id: storedId(file, key), name, group, file, key, shape, sha256 };
      const others = files.get(file);
      if (others === undefined) files.set(file, [stored]);
      else others.push(stored);
    }
  }
  return files;
}

/** What of a piece is wanted: its elements from `from` up to `to`, and where they belong. */
export interface FoundPiece extends Pick<TensorPiece, 'file' | 'key'> {
  readonly from: number;
  readonly to: number;
  readonly runs: readonly Run[];
}

/** What of a tensor's pieces lies between two of its elements. */
export const piecesWithin = (tensor: ManifestTensor, start: number, end: number): readonly FoundPiece[] =>
  piecesOf(tensor).flatMap((piece) => {
    const runs = runsWithin(piece, start, end);
    const [first] = runs;
    const last = runs.at(-1);
    if (first === undefined || last === undefined) return [];
    const to = last.from + last.end - last.start;
    return [{ file: piece.file, key: piece.key, from: first.from, to, runs }];
  });
