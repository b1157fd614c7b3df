const alphabet = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#';

/** Text of a key: 32 bytes as 40 characters (ZeroMQ RFC 32). */
export const isKeyText = (text: string): boolean =>
  text.length === 40 && Array.from(text).every((digit) => alphabet.includes(digit));

export function bytesOfKey(text: string): Buffer {
  const bytes = Buffer.alloc((text.length / 5) * 4);
  for (let group = 0; group < text.length / 5; group++) {
    let value = 0;
    for (const digit of text.slice(group * 5, group * 5 + 5)) value = value * 85 + alphabet.indexOf(digit);
    bytes.writeUInt32BE(value % 2 ** 32, group * 4);
  }
  return bytes;
}

export function textOfKey(bytes: Uint8Array): string {
  const buffer = Buffer.from(bytes);
  let text = '';
  for (let group = 0; group + 4 <= buffer.byteLength; group += 4) {
    const value = buffer.readUInt32BE(group);
    for (let power = 4; power >= 0; power--) text += alphabet[Math.floor(value / 85 ** power) % 85];
  }
  return text;
}
