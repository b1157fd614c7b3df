/** Calls of an expert that is code of the user's, for bodies that can load it; the others refuse them as no operation of theirs. */
import type { ExpertSource } from './expert-source.ts';
import type { GradientTarget } from './gradient-target.ts';
import type { Floats } from './device-array.ts';

/** Where the code is: a device loads it itself, on the thread that its kernels run on, so this travels and the code does not. */
export interface ExpertLayer {
  /** URL of an ES module. */
  readonly module: string;
  /** `name` of the layer among the module's exports. */
  readonly name: string;
  /** The parameters of one expert in the order in which they lie, without gaps, from the start of its weights. */
  readonly parameters: readonly { readonly name: string; readonly shape: readonly number[] }[];
}

interface ExpertLayerShape {
  readonly layer: ExpertLayer;
  readonly experts: number;
  readonly dim: number;
  /** Width that the model gives an expert; the layer may use it for the shapes of its parameters. */
  readonly hidden: number;
  /** Parameters of expert e from `e·expertStride` on. */
  readonly weights: Floats;
  readonly expertStride: number;
}

/** y of every row of every source, in the source's own row order. Each (expert, source, grain) is computed on its own. */
export interface ExpertLayerForwardCall extends ExpertLayerShape {
  readonly op: 'expert-layer.forward';
  readonly sources: readonly (ExpertSource & { readonly y_ND: Floats })[];
}

/** Gradients of the same, which is computed again: a leaf of every parameter for each (expert, source, grain). */
export interface ExpertLayerBackwardCall extends ExpertLayerShape {
  readonly op: 'expert-layer.backward';
  readonly sources: readonly (ExpertSource & {
    /** Gradient of the combined output of each distinct token, [U, D]. */
    readonly dOut_UD: Floats;
    /** Combine weight of each row; absent: 1. */
    readonly rowWeights_N?: Floats;
    /** Gradient of each row's input, [N_s, D]. */
    readonly dx_ND: Floats;
  })[];
  /** Same layout as `weights`. */
  readonly weightSum: GradientTarget;
}

export type ExpertLayerCall = ExpertLayerForwardCall | ExpertLayerBackwardCall;
