import { assert } from '@troupe/core';
import { moeLayers, type ModelConfig } from '@troupe/spec';

/** An expert of one of the models that another one is made of. */
export interface ExpertSource {
  /** Index of the model. */
  readonly model: number;
  readonly expert: number;
}

/** The experts of each layer that has some, in the order in which the new model has them. */
export type ExpertPick = ReadonlyMap<number, readonly ExpertSource[]>;

/** All experts of `numModels` models of one shape, those of the first model first. */
export function allExperts(config: ModelConfig, numModels: number): ExpertPick {
  const { moe } = config;
  assert(moe !== null, 'a model whose experts are picked has some');
  const sources = Array.from({ length: numModels * moe.experts }, (_, index) => ({
    model: Math.floor(index / moe.experts),
    expert: index % moe.experts,
  }));
  return new Map(moeLayers(config).map((layer) => [layer, sources]));
}

/** Some experts of one model, by layer. */
export const someExperts = (experts_L: ReadonlyMap<number, readonly number[]>): ExpertPick =>
  new Map(
    Array.from(experts_L, ([layer, experts]) => [layer, experts.map((expert) => ({ model: 0, expert }))]),
  );
