import xxhash from 'xxhash-wasm';

const hasher = await xxhash();

/**
 * Bytes hashed in one call. The hash copies its input into its own memory and never shrinks it: chunks keep that copy in the
 * second-level cache and the memory at one chunk, whatever the size of a frame.
 */
const chunkBytes = 64 * 1024;

/**
 * xxHash64 of `bytes`, started from `seed`; the result of one part is the seed of the next, so that a list of parts whose
 * lengths are known has one checksum and nothing is concatenated.
 */
export function checksum(bytes: Uint8Array, seed: bigint): bigint {
  let hash = seed;
  if (bytes.byteLength <= chunkBytes) return hasher.h64Raw(bytes, hash);
  for (let offset = 0; offset < bytes.byteLength; offset += chunkBytes) {
    hash = hasher.h64Raw(bytes.subarray(offset, offset + chunkBytes), hash);
  }
  return hash;
}
