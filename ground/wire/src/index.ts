export type { Crc32 } from './crc32.ts';
export * from './codec.ts';
export * from './errors.ts';
export * from './message.ts';
export * from './reference-codec.ts';
