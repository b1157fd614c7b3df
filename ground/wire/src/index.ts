export type { Hash64 } from './checksum.ts';
export * from './codec.ts';
export * from './errors.ts';
export * from './message.ts';
export * from './reference-codec.ts';
