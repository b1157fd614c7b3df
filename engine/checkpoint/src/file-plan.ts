import { assert } from '@troupe/core';
import { CheckpointPiecesError } from './errors.ts';
import { tensorId, type TensorGroup } from './manifest.ts';
import { numElements } from './safetensors-header.ts';
import { tensorPlace } from './tensor-place.ts';

/** Largest file unless one tensor alone is larger. */
export const FILE_BYTES_MAX = 256 * 2 ** 20;

/** One tensor that a checkpoint is to hold. */
export interface CheckpointTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: 'f32';
  readonly group: TensorGroup;
}

/** Key suffix of each group, as PyTorch's optimizers name their state where they have it. */
const keySuffix: Readonly<Record<TensorGroup, string>> = {
  weights: '',
  'adam-m': '.exp_avg',
  'adam-v': '.exp_avg_sq',
  'sgd-v': '.momentum_buffer',
  'muon-m': '.muon_momentum',
  'adafactor-row': '.exp_avg_sq_row',
  'adafactor-col': '.exp_avg_sq_col',
  'adafactor-v': '.exp_avg_sq_full',
};

/** Name of a tensor of a group inside its file. */
export const keyOf = ({ name, group }: Pick<CheckpointTensor, 'name' | 'group'>): string =>
  name + keySuffix[group];

export interface PlannedTensor extends CheckpointTensor {
  /** Name inside its file. */
  readonly key: string;
  readonly size: number;
}

export interface PlannedFile {
  readonly name: string;
  readonly tensors: readonly PlannedTensor[];
}

/**
 * Distributes tensors over files: weights under their own names apart from optimizer state, layers kept together,
 * files of at most `maxFileBytes`. One file of a kind is `weights.safetensors`; several are numbered
 * `weights-00001-of-00003.safetensors`.
 *
 * @throws {CheckpointPiecesError} TROUPE_CHECKPOINT_PIECES when the layout names a tensor twice or none at all
 */
export function planFiles(
  layout: readonly CheckpointTensor[],
  maxFileBytes: number = FILE_BYTES_MAX,
): readonly PlannedFile[] {
  assert(maxFileBytes > 0, 'a file holds at least a byte');
  const ids = new Set<string>();
  for (const { name, group } of layout) {
    const id = tensorId(name, group);
    if (ids.has(id))
      throw new CheckpointPiecesError(`tensor '${name}' (${group}) comes twice`, { tensor: name });
    ids.add(id);
  }
  if (ids.size === 0) throw new CheckpointPiecesError('a checkpoint without tensors');
  const planned = layout.map((tensor) => ({
    ...tensor,
    key: keyOf(tensor),
    size: numElements(tensor.shape),
  }));
  const weights = planned.filter((tensor) => tensor.group === 'weights');
  const states = planned.filter((tensor) => tensor.group !== 'weights');
  return [...packFiles('weights', weights, maxFileBytes), ...packFiles('optimizer', states, maxFileBytes)];
}

interface Packable {
  readonly name: string;
  readonly size: number;
}

const bytesOf = (tensors: readonly Packable[]): number =>
  tensors.reduce((sum, each) => sum + 4 * each.size, 0);

/**
 * Packs float32 tensors into files: whole layers while they fit; a layer that is too large alone is split between
 * its tensors. One file is `kind.safetensors`, several are numbered.
 */
export function packFiles<T extends Packable>(
  kind: string,
  tensors: readonly T[],
  maxFileBytes: number = FILE_BYTES_MAX,
): readonly { readonly name: string; readonly tensors: readonly T[] }[] {
  const byLayer = new Map<number | null, T[]>();
  for (const tensor of tensors) {
    const { layer } = tensorPlace(tensor.name);
    const group = byLayer.get(layer);
    if (group === undefined) byLayer.set(layer, [tensor]);
    else group.push(tensor);
  }
  const groups = [...byLayer.values()].flatMap((layer) =>
    bytesOf(layer) > maxFileBytes ? layer.map((tensor) => [tensor]) : [layer],
  );
  const files: T[][] = [];
  let roomBytes = 0;
  for (const group of groups) {
    const groupBytes = bytesOf(group);
    const last = files.at(-1);
    if (last === undefined || groupBytes > roomBytes) {
      files.push([...group]);
      roomBytes = maxFileBytes - groupBytes;
    } else {
      last.push(...group);
      roomBytes -= groupBytes;
    }
  }
  const digits = (value: number): string => String(value).padStart(5, '0');
  return files.map((tensors, index) => ({
    name:
      files.length === 1
        ? `${kind}.safetensors`
        : `${kind}-${digits(index + 1)}-of-${digits(files.length)}.safetensors`,
    tensors,
  }));
}
