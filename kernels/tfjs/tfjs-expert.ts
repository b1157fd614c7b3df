import type {
  ExpertLayer,
  ExpertLayerBackwardCall,
  ExpertLayerForwardCall,
  ExpertsBackwardCall,
  ExpertsForwardCall,
  Floats,
  Weights,
} from '@troupe/kernel-set';
import type { LayerTensor, Tensorflow } from './layer-types.ts';

export interface ExpertLayerSize {
  /** Width of a row, in and out. */
  readonly dim: number;
  /** Width that the model gives an expert. */
  readonly hidden: number;
}

/** A parameter of a layer. */
export interface LayerParameter {
  readonly shape: readonly number[];
  /** Default: truncated normal with std √(init.scale / last dimension), as the model's matrices; 0 for a vector. */
  readonly init?:
    | { readonly kind: 'constant'; readonly value: number }
    | { readonly kind: 'normal' | 'truncated-normal'; readonly std: number };
}

/** y_ND of x_ND: pure, row by row, of the same shape. Spelt as a method, so that a layer written with tfjs-core's own types is one too. */
export type LayerForward<P extends string> = {
  of(x_ND: LayerTensor, parameters: { readonly [N in P]: LayerTensor }): LayerTensor;
}['of'];

/** `TF`: the type under which a layer sees TensorFlow.js, ours or tfjs-core's own. */
export interface TfjsExpertOptions<P extends string, TF = Tensorflow> {
  /** Unique among the exports of its module. */
  readonly name: string;
  /** `import.meta.url` of the module that exports the expert: each device loads it on the thread that it computes on. */
  readonly module: string;
  readonly parameters: (size: ExpertLayerSize) => { readonly [N in P]: LayerParameter };
  /** Called once on each device; `tf` is what it computes with. */
  create(tf: TF, size: ExpertLayerSize): LayerForward<P>;
}

/** An `ExpertRule` whose calls a TensorFlow.js device runs. */
export interface TfjsExpert {
  readonly name: string;
  readonly body: 'tfjs';
  parameters(size: ExpertLayerSize): readonly ({ readonly name: string } & LayerParameter)[];
  forward(call: ExpertsForwardCall): readonly ExpertLayerForwardCall[];
  backward(call: ExpertsBackwardCall): readonly ExpertLayerBackwardCall[];
  create(tf: Tensorflow, size: ExpertLayerSize): LayerForward<string>;
}

/** Weights of an own expert are f32 in any precision; a device refuses others. */
const inFloats = (weights: Weights): Floats => weights as Floats;

/**
 * An expert written as a TensorFlow.js layer: a pure forward pass, whose gradients TensorFlow.js derives.
 *
 * Its parameters are drawn, owned, updated and checkpointed by Troupe under their names, and their gradients are summed exactly over
 * grains. The layer runs once for each (expert, source, grain), whose rows no layout changes: on one machine and body its results are
 * the same bits in every layout wherever the rows that it is given are.
 *
 * The module is loaded again in the devices' threads, so what it does when it is loaded must not start a run: guard a program's own
 * start with `isMainThread`.
 */
export function tfjsExpert<P extends string, TF = Tensorflow>(options: TfjsExpertOptions<P, TF>): TfjsExpert {
  const { name, module, parameters } = options;
  const listed = (size: ExpertLayerSize) =>
    Object.entries<LayerParameter>(parameters(size)).map(([own, parameter]) => ({ name: own, ...parameter }));
  const layerOf = (size: ExpertLayerSize): ExpertLayer => ({
    name,
    module,
    parameters: listed(size).map(({ name: own, shape }) => ({ name: own, shape })),
  });
  return {
    name,
    body: 'tfjs',
    parameters: listed,
    forward: ({ experts, dim, hidden, weights, expertStride, sources }) => [
      {
        op: 'expert-layer.forward',
        layer: layerOf({ dim, hidden }),
        experts,
        dim,
        hidden,
        weights: inFloats(weights),
        expertStride,
        sources,
      },
    ],
    backward: ({ experts, dim, hidden, weights, expertStride, sources, weightSum }) => [
      {
        op: 'expert-layer.backward',
        layer: layerOf({ dim, hidden }),
        experts,
        dim,
        hidden,
        weights: inFloats(weights),
        expertStride,
        sources,
        weightSum,
      },
    ],
    create: (tf, size) => options.create(tf as TF, size),
  };
}
