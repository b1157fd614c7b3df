import { readFileSync } from 'node:fs';
import type { HostArray } from '@troupe/core';

const arrays = { F32: Float32Array, F64: Float64Array, I32: Int32Array } as const;

interface Entry {
  readonly dtype: keyof typeof arrays;
  readonly data_offsets: readonly [number, number];
}

/** All tensors of a fixture, read without the code under test. */
export function readTensors(file: URL): ReadonlyMap<string, HostArray> {
  const bytes = readFileSync(file);
  const headerBytes = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + headerBytes)) as Record<string, Entry>;
  return new Map(
    Object.entries(header)
      .filter(([name]) => name !== '__metadata__')
      .map(([name, { dtype, data_offsets }]) => {
        const [first, last] = data_offsets.map((offset) => 8 + headerBytes + offset);
        const copy = Uint8Array.from(bytes.subarray(first, last));
        return [name, new arrays[dtype](copy.buffer)] as const;
      }),
  );
}
