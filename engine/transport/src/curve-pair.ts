import { generateKeyPairSync } from 'node:crypto';
import type { CurveKeys } from './curve-keys.ts';
import { textOfKey } from './z85.ts';

/** A new pair of keys for a machine, whose secret has never been anywhere. */
export function newCurvePair(): Required<Pick<CurveKeys, 'public' | 'secret'>> {
  const { x = '', d = '' } = generateKeyPairSync('x25519').privateKey.export({ format: 'jwk' });
  const text = (part: string): string => textOfKey(Buffer.from(part, 'base64url'));
  return { public: text(x), secret: text(d) };
}
