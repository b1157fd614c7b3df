export * from './blocks.ts';
export * from './config-paths.ts';
export * from './counts.ts';
export * from './exchange.ts';
export * from './memory.ts';
export * from './model-config.ts';
export * from './parameters.ts';
export * from './traffic.ts';
