/**
 * The 256 printable characters that stand for bytes in a byte-level vocabulary: printable Latin-1 bytes stand for
 * themselves, the rest take the code points from 256 on (space is `Ġ`, newline `Ċ`).
 *
 * @see GPT-2's `bytes_to_unicode`
 */
export const characterOfByte: readonly string[] = (() => {
  const printable = (byte: number): boolean =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(printable(byte) ? byte : next++));
})();

const byteOfCharacter: ReadonlyMap<string, number> = new Map(
  characterOfByte.map((character, byte) => [character, byte] as const),
);

const encoder = new TextEncoder();

/** The bytes that a token's spelling stands for; a spelling with a character outside the alphabet is plain UTF-8. */
export function bytesOfToken(token: string): Uint8Array {
  const bytes: number[] = [];
  for (const character of token) {
    const byte = byteOfCharacter.get(character);
    if (byte === undefined) return encoder.encode(token);
    bytes.push(byte);
  }
  return Uint8Array.from(bytes);
}

/** The inverse of {@link bytesOfToken} for any bytes. */
export function tokenOfBytes(bytes: Iterable<number>): string {
  let token = '';
  for (const byte of bytes) token += characterOfByte[byte] ?? '';
  return token;
}
