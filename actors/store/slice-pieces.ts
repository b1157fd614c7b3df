import { assert, type HostFloats } from '@troupe/core';
import type { TensorGroup } from '@troupe/checkpoint';
import { isByElement, savedTensors, type SavedTensor, type StateArray } from '@troupe/spec';
import type { Job } from '../job.ts';
import type { StoreEventOf } from './events.ts';

type SliceEvent = Pick<StoreEventOf<'snapshot.slice'>, 'body' | 'tensors'>;

/** A piece of a tensor of a checkpoint: weights, or what the optimizer keeps of them. */
export interface SlicePiece {
  readonly name: string;
  readonly group: TensorGroup;
  readonly place: Omit<SliceEvent['body'], 'name'>;
  readonly values: Float32Array;
}

/** What a shard has sent, as pieces of a checkpoint's tensors. */
export function slicePieces({
  model,
  optimizer,
}: Pick<Job, 'model' | 'optimizer'>): (event: SliceEvent) => readonly SlicePiece[] {
  const saved = new Map(savedTensors(model, optimizer.kind).map((tensor) => [tensor.name, tensor]));
  return ({ body: { name, ...place }, tensors }) => {
    const tensor = saved.get(name);
    assert(tensor, 'shards send tensors of the model', { name });
    const states = [tensors.first, tensors.second].flatMap((values, array) =>
      stateOf(tensor, array as StateArray, place, values),
    );
    return [{ name, group: 'weights', place, values: asFloat32(tensors.weights) }, ...states];
  };
}

function stateOf(
  tensor: SavedTensor,
  array: StateArray,
  place: SlicePiece['place'],
  values: HostFloats,
): readonly SlicePiece[] {
  const state = tensor.state[array];
  if (state === null || values.length === 0) return [];
  const own = isByElement(state, tensor) ? place : { offset: 0 };
  return [{ name: tensor.name, group: state.name, place: own, values: asFloat32(values) }];
}

/** Checkpoints hold f32; the float64 oracle's values are rounded once. */
const asFloat32 = (values: HostFloats): Float32Array =>
  values instanceof Float32Array ? values : Float32Array.from(values);
