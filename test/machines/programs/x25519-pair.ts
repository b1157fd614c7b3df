import { generateKeyPairSync } from 'node:crypto';
import type { CurveKeys } from '@troupe/transport';

const digits = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#';

/** Z85 of 32 bytes (ZeroMQ RFC 32). */
function z85(bytes: Uint8Array): string {
  const view = Buffer.from(bytes);
  let text = '';
  for (let at = 0; at < view.length; at += 4) {
    const value = view.readUInt32BE(at);
    for (const weight of [85 ** 4, 85 ** 3, 85 ** 2, 85, 1])
      text += digits[Math.floor(value / weight) % 85] ?? '';
  }
  return text;
}

/** A pair that all nodes of a test share; CURVE's keys are those of X25519. */
export function sharedPair(): CurveKeys {
  const { publicKey, privateKey } = generateKeyPairSync('x25519');
  const open = z85(publicKey.export({ type: 'spki', format: 'der' }).subarray(-32));
  const secret = z85(privateKey.export({ type: 'pkcs8', format: 'der' }).subarray(-32));
  return { serverPublic: open, public: open, secret };
}
