import { prng } from '@troupe/core';
import { loadTopology } from 'troupe';

export const LAYER = 1;

export const servedModel = () => loadTopology('tiny').model;

/** Parameters that are a function of their name, so that every machine has the same. */
export function weightsOf(name: string): Float32Array {
  const { dModel, moe } = servedModel();
  const draws = prng({ seed: 3, purpose: name });
  return Float32Array.from(
    { length: dModel * (moe?.dExpert ?? 0) },
    (_, index) => draws.uniform(index) - 0.5,
  );
}

/** Rows and the expert of each, some for every expert. */
export function question(dim: number, experts: number): readonly [Float32Array, Int32Array] {
  const experts_N = Int32Array.from({ length: 4 * experts }, (_, row) => (row * 3) % experts);
  return [Float32Array.from({ length: experts_N.length * dim }, (_, index) => Math.sin(index)), experts_N];
}
