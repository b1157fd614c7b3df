// What a stage allocates, alone: planning a device's memory needs no kernels.
export * from './activations.ts';
export { grainRuns } from './grain-runs.ts';
export type { GradientActivations } from './layer-activations.ts';
export * from './statistics.ts';
export * from './stream-activations.ts';
export { eachStream } from './streams.ts';
export { streamShape, type StageShape } from './stage-shape.ts';
export { ownGrains, ownRuns, ownTokens } from './dealt-grains.ts';
export { tensorShare } from './tensor-share.ts';
export { waitingBytes } from './waiting-operands.ts';
