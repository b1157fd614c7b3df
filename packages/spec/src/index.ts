export * from './counts.ts';
export * from './model-config.ts';
export * from './parameters.ts';
