/** Parts one behind the other, as they travel. */
export function concatInts(parts: readonly Int32Array[]): Int32Array {
  return Int32Array.from(parts.flatMap((part) => [...part]));
}

export function concatInt64s(parts: readonly BigInt64Array[]): BigInt64Array {
  return BigInt64Array.from(parts.flatMap((part) => [...part]));
}
