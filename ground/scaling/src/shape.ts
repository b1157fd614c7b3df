/** `dModel = 64·blocks`, the aspect that laws are solved for. */
const WIDTH_PER_BLOCK = 64;

/** Width and depth; not whole numbers while a law is being solved. `dFf = 4·dModel`. */
export interface Shape {
  readonly dModel: number;
  readonly blocks: number;
}

/** Fine-grained experts: E times the parameters of a dense FFN, in E·G experts of a G-th of its width. */
export interface Experts {
  readonly expansion: number;
  readonly granularity: number;
}

/** FLOPs a matrix weight and token, forward and backward, and a router weight and token. */
export interface FlopsCost {
  readonly matrix: number;
  readonly router: number;
}

/** @see arXiv:2402.07871, appendix B */
export const paperCost: FlopsCost = { matrix: 6, router: 14 };

export const shapeOfWidth = (dModel: number): Shape => ({ dModel, blocks: dModel / WIDTH_PER_BLOCK });

/** The shape of that aspect with so many active parameters. */
export const shapeOfActive = (paramsActive: number): Shape =>
  shapeOfWidth(Math.cbrt((paramsActive * WIDTH_PER_BLOCK) / 12));

/** Parameters that a token meets, attention and FFN: `12·d²·blocks`, whatever the granularity. */
export const activeParams = ({ dModel, blocks }: Shape): number => 12 * dModel ** 2 * blocks;

/** All parameters, without embedding, norms and routers: `d²·(8E + 4)·blocks`. */
export const totalParams = ({ dModel, blocks }: Shape, expansion: number): number =>
  dModel ** 2 * (8 * expansion + 4) * blocks;

/**
 * FLOPs of one token of training: `(12·d²·c_f + d·E·G·c_r)·blocks`.
 *
 * @param experts - null: a dense model, which has no router
 */
export function tokenFlops(shape: Shape, experts: Experts | null, { matrix, router }: FlopsCost): number {
  const routed = experts === null ? 0 : shape.dModel * experts.expansion * experts.granularity;
  return activeParams(shape) * matrix + routed * router * shape.blocks;
}
