/** CRC-32 of bytes: the number of zlib, Ethernet and PNG. */
export type Crc32 = (bytes: Uint8Array) => number;

const polynomial = 0xed_b8_83_20;

/** What a byte leaves, bit by bit. */
function remainderOf(byte: number): number {
  let rest = byte;
  for (let bit = 0; bit < 8; bit++) rest = (rest >>> 1) ^ ((rest & 1) === 0 ? 0 : polynomial);
  return rest >>> 0;
}

const remainders = Uint32Array.from({ length: 256 }, (_, byte) => remainderOf(byte));

/** Byte by byte: for a receiver that has no faster one. */
export const tableCrc32: Crc32 = (bytes) => {
  let state = 0xff_ff_ff_ff;
  for (const byte of bytes) state = remainders[(state ^ byte) & 0xff]! ^ (state >>> 8);
  return ~state >>> 0;
};
