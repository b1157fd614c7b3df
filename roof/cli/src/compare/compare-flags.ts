import type { CommonOptions } from '../verb.ts';

export interface CompareFlags extends CommonOptions {
  readonly loss?: 'train' | 'held-out';
  readonly out?: string;
}
