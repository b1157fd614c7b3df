import {
  beginCheckpoint,
  type CheckpointOptions,
  type CheckpointReader,
  type CheckpointWriter,
  type ManifestBase,
  type WrittenCheckpoint,
} from '@troupe/checkpoint';
import { assert, type Storage } from '@troupe/core';
import { LikenessSums, type Likeness } from './likeness.ts';
import type { SourcedTensor } from './tensor-sources.ts';

/** Elements that are read and written at once, of each model. */
const ELEMENTS_AT_ONCE = 2 ** 20;

/** Where a checkpoint goes. */
export interface CheckpointTarget {
  readonly storage: Storage;
  readonly folder: string;
  readonly base: ManifestBase;
  readonly options: CheckpointOptions;
}

/** Parts of [0, length) that are at most so long. */
function* partsOf(length: number): Generator<{ readonly at: number; readonly count: number }> {
  for (let at = 0; at < length; at += ELEMENTS_AT_ONCE)
    yield { at, count: Math.min(ELEMENTS_AT_ONCE, length - at) };
}

/** The mean of two, each rounded once. */
const meanOf = (a: Float32Array, b: Float32Array): Float32Array =>
  a.map((value, index) => (value + (b[index] ?? 0)) / 2);

/** One tensor, a part at a time. */
async function writeTensor(
  writer: CheckpointWriter,
  models: readonly CheckpointReader[],
  { name, group, source }: SourcedTensor,
  sums: LikenessSums,
): Promise<void> {
  const modelOf = (index: number): CheckpointReader => {
    const model = models[index];
    assert(model !== undefined, 'a tensor comes from one of the models', { name, index });
    return model;
  };
  if (source.kind === 'zero')
    for (const { at, count } of partsOf(source.length))
      await writer.put(name, group, at, new Float32Array(count));
  else if (source.kind === 'mean')
    for (const { at, count } of partsOf(source.length)) {
      const [a, b] = await Promise.all(
        [0, 1].map((each) => modelOf(each).read(source.name, group, at, count)),
      );
      assert(a !== undefined && b !== undefined, 'a mean is of two models', { name });
      sums.add(name, a, b);
      await writer.put(name, group, at, meanOf(a, b));
    }
  else
    for (const piece of source.pieces)
      for (const { at, count } of partsOf(piece.length)) {
        const values = await modelOf(piece.model).read(piece.name, group, piece.offset + at, count);
        await writer.put(name, group, piece.to + at, values);
      }
}

/**
 * Writes the checkpoint of a model whose tensors come from those of others. Of every model a megabyte or a few are in memory at a time,
 * whatever its size.
 *
 * @param models - open ones, in the order in which sources number them
 * @returns the checkpoint, and of two models how alike their shared weights are
 */
export async function writeRecombined(
  { storage, folder, base, options }: CheckpointTarget,
  models: readonly CheckpointReader[],
  tensors: readonly SourcedTensor[],
): Promise<{ readonly written: WrittenCheckpoint; readonly likeness: readonly Likeness[] }> {
  const idOf = ({ name, group }: Pick<SourcedTensor, 'name' | 'group'>): string => `${group}:${name}`;
  const byId = new Map(tensors.map((tensor) => [idOf(tensor), tensor]));
  const layout = tensors.map(({ name, shape, group }) => ({ name, shape, group, dtype: 'f32' as const }));
  const writer = await beginCheckpoint(storage, folder, base, layout, options);
  const sums = new LikenessSums();
  try {
    for (const next of writer.order) {
      const tensor = byId.get(idOf(next));
      assert(tensor !== undefined, 'a file has tensors of its layout', { name: next.name });
      await writeTensor(writer, models, tensor, sums);
    }
  } catch (error) {
    await writer.abort();
    throw error;
  }
  return { written: await writer.finish(), likeness: sums.likeness() };
}
