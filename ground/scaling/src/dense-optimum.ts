import type { Optimum } from './granular-optimum.ts';
import type { DenseLaw } from './law-set.ts';
import { denseLoss } from './loss.ts';
import { paperCost, shapeOfActive, type FlopsCost } from './shape.ts';

function optimumOf(law: DenseLaw, params: number, tokens: number, cost: FlopsCost): Optimum {
  return {
    shape: shapeOfActive(params),
    paramsActive: params,
    params,
    tokens,
    flops: cost.matrix * params * tokens,
    loss: denseLoss(law, { params, tokens }),
  };
}

/** The best dense model for so many FLOPs, from `α a N^-α = β b D^-β` and `F = c_f·N·D`. */
export function denseAtFlops(law: DenseLaw, flops: number, cost: FlopsCost = paperCost): Optimum {
  const product = flops / cost.matrix;
  const ratio = (law.alpha * law.a) / (law.beta * law.b);
  const params = (ratio * product ** law.beta) ** (1 / (law.alpha + law.beta));
  return optimumOf(law, params, product / params, cost);
}

/** The tokens that a dense model of this size is the best use of. */
export function denseForActive(law: DenseLaw, params: number, cost: FlopsCost = paperCost): Optimum {
  const tokens = (((law.beta * law.b) / (law.alpha * law.a)) * params ** law.alpha) ** (1 / law.beta);
  return optimumOf(law, params, tokens, cost);
}
