import type { Device, Floats } from '@troupe/kernel-set';
import type { ModelConfig } from '@troupe/spec';

/** Cosines and sines of the rotary angles, [seqLen, headDim/2] each. */
export interface RopeTables {
  readonly cos_S2: Floats;
  readonly sin_S2: Floats;
}

/**
 * Angle of pair i at position s: s · theta^(-2i/headDim), in float64, rounded once to the device's dtype.
 *
 * @see Su et al. 2021 (RoFormer), arXiv:2104.09864, §3.2; the half-split pairing of GPT-NeoX and Hugging Face
 */
export function ropeTables(device: Device, config: ModelConfig): RopeTables {
  const half = config.headDim / 2;
  const cosines = new Float64Array(config.seqLen * half);
  const sines = new Float64Array(config.seqLen * half);
  for (let pair = 0; pair < half; pair++) {
    const frequency = 1 / config.rope.theta ** ((2 * pair) / config.headDim);
    for (let position = 0; position < config.seqLen; position++) {
      cosines[position * half + pair] = Math.cos(position * frequency);
      sines[position * half + pair] = Math.sin(position * frequency);
    }
  }
  const tables = { cos_S2: device.floats(cosines.length), sin_S2: device.floats(sines.length) };
  device.write(tables.cos_S2, cosines);
  device.write(tables.sin_S2, sines);
  return tables;
}
