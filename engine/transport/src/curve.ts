import { capability, Reply, type Context } from 'zeromq';
import type { CurveKeys } from './curve-keys.ts';
import { InsecureTransportError } from './errors.ts';
import type { Keyring } from './keyring.ts';
import { isKeyText, textOfKey } from './z85.ts';

/**
 * Socket options of the two ends. Without `zapEnforceDomain` the library lets everybody in when nobody answers its question who may
 * connect, so that a door which broke would stand open.
 */
export const curveServer = (keys: CurveKeys) =>
  ({
    curveServer: true,
    curvePublicKey: keys.public,
    curveSecretKey: keys.secret,
    zapDomain: 'troupe',
    zapEnforceDomain: true,
  }) as const;
export const curveClient = (keys: CurveKeys, serverPublic: string) =>
  ({ curveServerKey: serverPublic, curvePublicKey: keys.public, curveSecretKey: keys.secret }) as const;

/** @throws {InsecureTransportError} TROUPE_TRANSPORT_INSECURE when the library lacks CURVE or a key is malformed */
export function checkCurve(keys: CurveKeys): void {
  if (capability.curve !== true) throw new InsecureTransportError('CURVE', 'this build of ZeroMQ lacks it');
  const { serverPublic = keys.public, authorized = [], nodes } = keys;
  for (const key of [serverPublic, keys.public, keys.secret, ...authorized, ...(nodes?.values() ?? [])])
    if (!isKeyText(key)) throw new InsecureTransportError('CURVE', 'a key is not 40 characters of Z85');
}

/**
 * Answers the library's question who may connect (ZAP, RFC 27). Without it CURVE encrypts and proves the server, but lets every
 * client in. The library does not say which connection a message came by: that a node is who it says is proved by its hello.
 *
 * @returns the socket; closing it ends the answers, and from then on nobody is let in
 */
export async function guardDoor(context: Context, keyring: Keyring): Promise<Reply> {
  const door = new Reply({ context, linger: 0 });
  await door.bind('inproc://zeromq.zap.01');
  void answer(door, keyring);
  return door;
}

async function answer(door: Reply, keyring: Keyring): Promise<void> {
  try {
    for await (const [version, id, , , , mechanism, key] of door) {
      const known = String(mechanism) === 'CURVE' && key !== undefined && keyring.admits(textOfKey(key));
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
