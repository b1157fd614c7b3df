export * from './cost.ts';
export * from './device.ts';
export * from './network.ts';
export * from './trace.ts';
export * from './virtual-clock.ts';
