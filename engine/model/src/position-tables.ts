import { cosine, sine } from '@troupe/core';
import type { Device, Floats } from '@troupe/kernel-set';
import type { ModelConfig } from '@troupe/spec';

/** What tells a model where its tokens stand; a kind that it does not have is empty. */
export interface PositionTables {
  /** Cosines and sines of the rotary angles, [seqLen, headDim/2] each. */
  readonly cos_S2: Floats;
  readonly sin_S2: Floats;
  /** What is added to embeddings, [seqLen, D]. */
  readonly sines_SD: Floats;
}

function uploaded(device: Device, values: Float64Array): Floats {
  const array = device.floats(values.length);
  device.write(array, values);
  return array;
}

/** Cosines and sines of position · theta^(-2i/dim) in float64, [positions, dim/2] each. */
function angles(positions: number, dim: number, theta: number): readonly [Float64Array, Float64Array] {
  const half = dim / 2;
  const cosines = new Float64Array(positions * half);
  const sines = new Float64Array(positions * half);
  for (let pair = 0; pair < half; pair++) {
    const frequency = 1 / theta ** ((2 * pair) / dim);
    for (let position = 0; position < positions; position++) {
      cosines[position * half + pair] = cosine(position * frequency);
      sines[position * half + pair] = sine(position * frequency);
    }
  }
  return [cosines, sines];
}

/** Element 2i of a row is the sine, 2i + 1 the cosine of its angle. */
function sineTable({ seqLen, dModel }: ModelConfig): Float64Array {
  const [cosines, sines] = angles(seqLen, dModel, 10_000);
  const table = new Float64Array(seqLen * dModel);
  sines.forEach((sine, pair) => (table[2 * pair] = sine));
  cosines.forEach((cosine, pair) => (table[2 * pair + 1] = cosine));
  return table;
}

/**
 * Angle of pair i at position s: s · theta^(-2i/dim), in float64, rounded once to the device's dtype.
 *
 * @see Su et al. 2021 (RoFormer), arXiv:2104.09864, §3.2; the half-split pairing of GPT-NeoX and Hugging Face
 * @see Vaswani et al. 2017, arXiv:1706.03762, §3.5 (sinusoidal)
 */
export function positionTables(device: Device, config: ModelConfig): PositionTables {
  const none = device.floats(0);
  if (config.positions === 't5') return { cos_S2: none, sin_S2: none, sines_SD: none };
  if (config.positions === 'sinusoidal')
    return { cos_S2: none, sin_S2: none, sines_SD: uploaded(device, sineTable(config)) };
  const [cosines, sines] = angles(config.seqLen, config.headDim, config.rope.theta);
  return { cos_S2: uploaded(device, cosines), sin_S2: uploaded(device, sines), sines_SD: none };
}
