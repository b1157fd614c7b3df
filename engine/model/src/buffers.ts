// What a stage allocates, alone: planning a device's memory needs no kernels.
export * from './activations.ts';
export * from './statistics.ts';
export type { GradientActivations } from './layer-activations.ts';
export type { StageShape } from './stage-shape.ts';
export { tensorShare } from './tensor-share.ts';
