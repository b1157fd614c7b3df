import type { TensorGroup } from '@troupe/checkpoint';
import { assert } from '@troupe/core';
import { isByElement, savedTensors, statesOf, type ModelConfig, type OptimizerKind } from '@troupe/spec';
import type { SavedTensor, StateTensor } from '@troupe/spec';
import type { ExpertPick, ExpertSource } from './expert-pick.ts';

/** Consecutive elements of a tensor of one model, and where they come to lie in the tensor of the new one. */
export interface TensorPiece {
  readonly model: number;
  readonly name: string;
  readonly offset: number;
  readonly length: number;
  readonly to: number;
}

/** Where the elements of a tensor come from: pieces in rising order, the mean of all models, or nowhere: it begins at zero. */
export type TensorSource =
  | { readonly kind: 'pieces'; readonly pieces: readonly TensorPiece[] }
  | { readonly kind: 'mean'; readonly name: string; readonly length: number }
  | { readonly kind: 'zero'; readonly length: number };

/** One tensor of the checkpoint of a new model. */
export interface SourcedTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly group: TensorGroup;
  readonly source: TensorSource;
}

export interface Recombination {
  /** Shape of the models that there are. */
  readonly from: ModelConfig;
  readonly numModels: number;
  /** The new one: as `from`, with as many experts as are picked. */
  readonly to: ModelConfig;
  readonly pick: ExpertPick;
  /** Whose state goes along; null: weights alone. */
  readonly optimizer: OptimizerKind | null;
}

const sizeOf = (shape: readonly number[]): number => shape.reduce((product, each) => product * each, 1);

/** Tensors of experts by layer and expert, in the order of their unit. */
function expertNames(tensors: readonly SavedTensor[]): (layer: number, expert: number) => readonly string[] {
  const names = new Map<string, string[]>();
  for (const { name, owner } of tensors) {
    if (owner.kind !== 'expert') continue;
    const key = `${owner.layer}/${owner.expert}`;
    names.set(key, [...(names.get(key) ?? []), name]);
  }
  return (layer, expert) => names.get(`${layer}/${expert}`) ?? [];
}

/** Equal runs of a router's tensor, one for each expert. */
const rowPieces = (
  name: string,
  length: number,
  sources: readonly ExpertSource[],
): readonly TensorPiece[] => {
  const row = length / sources.length;
  return sources.map(({ model, expert }, index) => ({
    model,
    name,
    offset: expert * row,
    length: row,
    to: index * row,
  }));
};

/** Every tensor of the new model, and where its elements come from. */
export function sourcedTensors(recombination: Recombination): readonly SourcedTensor[] {
  const { from, to, numModels, pick, optimizer } = recombination;
  const namesThere = expertNames(savedTensors(from, optimizer ?? 'adamw'));
  const tensors = savedTensors(to, optimizer ?? 'adamw');
  const namesHere = expertNames(tensors);
  const isWhole = numModels === 1 && isIdentity(from, pick);
  const pickOf = (layer: number): readonly ExpertSource[] => {
    const sources = pick.get(layer);
    assert(sources !== undefined, 'every layer with experts has picked ones', { layer });
    return sources;
  };
  const sourceOf = ({ name, owner }: SavedTensor, length: number): TensorSource => {
    if (owner.kind === 'router')
      return { kind: 'pieces', pieces: rowPieces(name, length, pickOf(owner.layer)) };
    if (owner.kind === 'shared') {
      const whole = { model: 0, name, offset: 0, length, to: 0 };
      return numModels === 1 ? { kind: 'pieces', pieces: [whole] } : { kind: 'mean', name, length };
    }
    const { layer, expert } = owner;
    const source = pickOf(layer)[expert];
    const there = source && namesThere(layer, source.expert)[namesHere(layer, expert).indexOf(name)];
    assert(source !== undefined && there !== undefined, 'an expert has the tensors of the one it was', {
      name,
    });
    return { kind: 'pieces', pieces: [{ model: source.model, name: there, offset: 0, length, to: 0 }] };
  };
  const stateSource = (tensor: SavedTensor, state: StateTensor): TensorSource => {
    const length = sizeOf(state.shape);
    // Sums over rows that are gone cannot be taken apart.
    const isCut = tensor.owner.kind === 'router' && !isByElement(state, tensor) && !isWhole;
    return isCut ? { kind: 'zero', length } : sourceOf(tensor, length);
  };
  return tensors.flatMap((tensor) => [
    {
      name: tensor.name,
      shape: tensor.shape,
      group: 'weights' as const,
      source: sourceOf(tensor, sizeOf(tensor.shape)),
    },
    ...(optimizer === null ? [] : statesOf(tensor)).map((state) => ({
      name: tensor.name,
      shape: state.shape,
      group: state.name,
      source: stateSource(tensor, state),
    })),
  ]);
}

/** Whether all experts of one model are picked where they are. */
const isIdentity = ({ moe }: ModelConfig, pick: ExpertPick): boolean =>
  [...pick.values()].every(
    (sources) => sources.length === moe?.experts && sources.every(({ expert }, index) => expert === index),
  );
