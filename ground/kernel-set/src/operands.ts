/** What calls multiply, and in which format. */
import type { Floats, Halves } from './device-array.ts';

export type NormKind = 'rms' | 'layer';
/** Activations of an expert or a dense FFN: schema, checks and random cases are drawn from this list. */
export const activations = ['swiglu', 'gelu', 'gelu-tanh', 'relu'] as const;
export type Activation = (typeof activations)[number];
/** Gated activations have two input matrices (gate, up); the others one. */
export const hiddenInputs = (activation: Activation): 1 | 2 => (activation === 'swiglu' ? 2 : 1);

/** Format of a product's operands; absent in a call: f32. */
export type Precision = 'f32' | 'bf16';

/** A matrix inside a larger buffer: row r starts at `offset + r·stride`. Default offset 0, stride = row length. */
export interface Rows {
  readonly data: Floats;
  readonly offset?: number;
  readonly stride?: number;
}

/** The same in bf16. As an operand of a product in bf16 it means the same as f32 rows that hold the rounded numbers. */
export interface HalfRows {
  readonly data: Halves;
  readonly offset?: number;
  readonly stride?: number;
}

/**
 * Weights of a product: bf16 only with precision bf16, where they mean the same as f32 ones that hold the rounded numbers.
 */
export type Weights = Floats | Halves;
