import { WireFormatError } from './errors.ts';

const refuse = (what: string, at: number): never => {
  throw new WireFormatError(`header is not plain msgpack: ${what} at byte ${at}`, { at });
};

/** Bytes of the value of each fixed-size type 0xc0…0xdf after its type byte; -1 where the length follows, -2 where refused. */
// prettier-ignore
const payloadBytes = [
  0, -2, 0, 0, -1, -1, -2, -2, -2, -2, 4, 8, 1, 2, 4, -2,
  1, 2, 4, -2, -2, -2, -2, -2, -2, -1, -1, -2, -1, -2, -1, -2,
] as const;

/**
 * Walks msgpack bytes once without building anything, so that the decoder only ever sees a value that fits its bytes.
 *
 * A decoder that meets `array of 2^25` allocates before it finds the bytes missing; here every count is checked against what is
 * left. Extensions, 64-bit integers, 32-bit lengths and trailing bytes are refused: the encoder never writes them.
 *
 * @throws {WireFormatError} TROUPE_WIRE_FORMAT
 */
export function scanMsgpack(bytes: Uint8Array, depthMax: number): void {
  /** Values still to be read on each open level. */
  const open: number[] = [1];
  let at = 0;
  while (open.length > 0) {
    const level = open.length - 1;
    if (open[level] === 0) {
      open.pop();
      continue;
    }
    open[level]!--;
    if (at >= bytes.length) refuse('it ends early', at);
    const type = bytes[at++]!;
    let skip = 0;
    let children = 0;
    if (type < 0x80 || type >= 0xe0) continue;
    if (type < 0x90) children = 2 * (type & 0x0f);
    else if (type < 0xa0) children = type & 0x0f;
    else if (type < 0xc0) skip = type & 0x1f;
    else {
      const fixed = payloadBytes[type - 0xc0]!;
      if (fixed === -2) refuse(`type 0x${type.toString(16)} is not used`, at - 1);
      if (fixed >= 0) skip = fixed;
      else {
        const wide = type === 0xc5 || type === 0xda || type === 0xdc || type === 0xde;
        if (at + (wide ? 2 : 1) > bytes.length) refuse('a length is cut off', at);
        const length = wide ? (bytes[at]! << 8) | bytes[at + 1]! : bytes[at]!;
        at += wide ? 2 : 1;
        if (type === 0xdc) children = length;
        else if (type === 0xde) children = 2 * length;
        else skip = length;
      }
    }
    if (skip > bytes.length - at || children > bytes.length - at)
      refuse('a length exceeds the header', at - 1);
    at += skip;
    if (children > 0) open.push(children);
    if (open.length - 1 > depthMax) refuse(`nesting exceeds ${depthMax} levels`, at - 1);
  }
  if (at !== bytes.length) refuse(`${bytes.length - at} bytes follow its end`, at);
}
