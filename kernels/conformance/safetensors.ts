/** Just enough of the safetensors format to read fixtures: 8 bytes of header length, JSON, raw little-endian data. */
import { readFileSync } from 'node:fs';

export interface FixtureTensor {
  readonly shape: readonly number[];
  /** Every dtype as float64: F32, F64 and I32 all fit. */
  readonly values: Float64Array;
}

interface Entry {
  readonly dtype: string;
  readonly shape: number[];
  readonly data_offsets: [number, number];
}

export function parseSafetensors(bytes: Uint8Array): Map<string, FixtureTensor> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const headerLength = Number(view.getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + headerLength))) as Record<
    string,
    Entry
  >;
  const tensors = new Map<string, FixtureTensor>();
  for (const [name, { dtype, shape, data_offsets }] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const start = 8 + headerLength + data_offsets[0];
    const values = new Float64Array(shape.reduce((a, b) => a * b, 1));
    for (let i = 0; i < values.length; i++) {
      if (dtype === 'F64') values[i] = view.getFloat64(start + 8 * i, true);
      else if (dtype === 'F32') values[i] = view.getFloat32(start + 4 * i, true);
      else if (dtype === 'I32') values[i] = view.getInt32(start + 4 * i, true);
      else throw new TypeError(`${name}: dtype ${dtype}, expected F64, F32 or I32`);
    }
    tensors.set(name, { shape, values });
  }
  return tensors;
}

/** A file of test/fixtures, found from the compiled place of this module (kernels/dist/conformance). */
export const fixturePath = (name: string): URL => new URL(`../../../test/fixtures/${name}`, import.meta.url);

export const readFixture = (name: string): Map<string, FixtureTensor> =>
  parseSafetensors(readFileSync(fixturePath(name)));
