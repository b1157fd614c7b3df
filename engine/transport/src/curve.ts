import { capability, Reply, type Context } from 'zeromq';
import type { CurveKeys } from './curve-keys.ts';
import { InsecureTransportError } from './errors.ts';

const alphabet = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#';

/** Socket options of the two ends. */
export const curveServer = (keys: CurveKeys) =>
  ({
    curveServer: true,
    curvePublicKey: keys.public,
    curveSecretKey: keys.secret,
    zapDomain: 'troupe',
  }) as const;
export const curveClient = (keys: CurveKeys) =>
  ({ curveServerKey: keys.serverPublic, curvePublicKey: keys.public, curveSecretKey: keys.secret }) as const;

/** @throws {InsecureTransportError} TROUPE_TRANSPORT_INSECURE when the library lacks CURVE or a key is malformed */
export function checkCurve(keys: CurveKeys): void {
  if (capability.curve !== true) throw new InsecureTransportError('CURVE', 'this build of ZeroMQ lacks it');
  for (const key of [keys.serverPublic, keys.public, keys.secret, ...(keys.authorized ?? [])]) {
    if (key.length !== 40 || Array.from(key).some((digit) => !alphabet.includes(digit))) {
      throw new InsecureTransportError('CURVE', 'a key is not 40 characters of Z85');
    }
  }
}

/**
 * Answers the library's question who may connect (ZAP, RFC 27). Without it CURVE encrypts and proves the server, but lets every
 * client in.
 *
 * @returns the socket; closing it ends the answers, and from then on nobody is let in
 */
export async function guardDoor(context: Context, keys: CurveKeys): Promise<Reply> {
  const allowed = new Set(
    [keys.public, keys.serverPublic, ...(keys.authorized ?? [])].map((key) => z85Hex(key)),
  );
  const door = new Reply({ context, linger: 0 });
  await door.bind('inproc://zeromq.zap.01');
  void answer(door, allowed);
  return door;
}

async function answer(door: Reply, allowed: ReadonlySet<string>): Promise<void> {
  try {
    for await (const [version, id, , , , mechanism, key] of door) {
      const known = String(mechanism) === 'CURVE' && key !== undefined && allowed.has(key.toString('hex'));
      await door.send([
        version ?? '1.0',
        id ?? '',
        known ? '200' : '400',
        known ? 'OK' : 'unknown key',
        '',
        '',
      ]);
    }
  } catch {
    // The socket was closed while it waited; the library refuses connections from now on.
  }
}

function z85Hex(text: string): string {
  const bytes = Buffer.alloc((text.length / 5) * 4);
  for (let group = 0; group < text.length / 5; group++) {
    let value = 0;
    for (const digit of text.slice(group * 5, group * 5 + 5)) value = value * 85 + alphabet.indexOf(digit);
    bytes.writeUInt32BE(value % 2 ** 32, group * 4);
  }
  return bytes.toString('hex');
}
