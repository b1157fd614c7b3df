export * from './device.ts';
export * from './device-array.ts';
export * from './expert-layer-calls.ts';
export * from './expert-source.ts';
export * from './gradient-target.ts';
export * from './host-memory.ts';
export * from './kernel-calls.ts';
export * from './kernel-cost.ts';
