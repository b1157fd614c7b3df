import { isEmbedding, isPositionTable, type Unit } from './parameters.ts';

/**
 * Matrices that nothing reads but products in the precision of the model. In bf16 these round them anyway (KER-6), so that they can be held
 * rounded. A router's product is f32 in any precision, norms are no products, and rows of an embedding and biases
 * of positions are taken as they are.
 */
export const isOperandOnly = ({ id, parameters }: Pick<Unit, 'id' | 'parameters'>): boolean =>
  !isEmbedding({ id }) &&
  !isPositionTable({ id }) &&
  !id.endsWith('/gate') &&
  parameters.every(({ shape }) => shape.length > 1);
