import { denseUnits, parameterCounts, type ModelConfig } from '@troupe/spec';

/** Parameters as laws count them, from the parameters of a model: matrices of blocks, without routers, which they count apart. */
export interface LawParameters {
  readonly active: number;
  readonly total: number;
  readonly routers: number;
}

const isRouter = (name: string): boolean => name.endsWith('.mlp.gate.weight');

export function lawParameters(config: ModelConfig): LawParameters {
  const counts = parameterCounts(config);
  const matrices = denseUnits(config)
    .filter(({ layer }) => layer !== null)
    .flatMap(({ parameters }) => parameters)
    .filter(({ shape }) => shape.length === 2);
  const sum = (some: typeof matrices): number => some.reduce((all, { size }) => all + size, 0);
  const routers = sum(matrices.filter(({ name }) => isRouter(name)));
  const dense = sum(matrices) - routers;
  return { active: dense + counts.active - counts.dense, total: dense + counts.expert, routers };
}
