/**
 * Somebody who is not of a run, on a machine beside it. It is told, a line each:
 *
 * - `{ knock: { host, port, mechanism } }`: greets as ZMTP does and goes on as if it were let in, without a key;
 * - `{ crowd: { host, ports, count } }`: that many connections that never say anything, and stay;
 * - `{ replay: { host, port, base64 } }`: says once more what somebody has said there, and waits until it is hung up on.
 *
 * It says what became of each.
 */
import { connect, type Socket } from 'node:net';
import { onLines, say } from './lines.ts';

interface Orders {
  readonly knock?: { readonly host: string; readonly port: number; readonly mechanism: string };
  readonly crowd?: { readonly host: string; readonly ports: readonly number[]; readonly count: number };
  readonly replay?: { readonly host: string; readonly port: number; readonly base64: string };
}

/** Longest time in which a listener hangs up on who has no key, milliseconds: its handshakes may last 5 s. */
const PATIENCE_MS = 20_000;
/** A greeting of ZMTP 3.0: signature, version, mechanism, not a server, filler. */
const greetingOf = (mechanism: string): Buffer => {
  const bytes = Buffer.alloc(64);
  Buffer.from([0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0]).copy(bytes);
  bytes.write(mechanism, 12, 'latin1');
  return bytes;
};
const GREETING_BYTES = 64;

/** The command that a mechanism begins with, and a message behind it. */
const entrance: Readonly<Record<string, Buffer>> = {
  NULL: Buffer.from('\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x04PUSH\x00\x05hello', 'latin1'),
  PLAIN: Buffer.from('\x04\x14\x05HELLO\x05troupe\x06secret\x00\x05hello', 'latin1'),
};

/** Speaks, and tells how many bytes came behind the greeting before it was hung up on. */
function spokenTo(host: string, port: number, words: readonly Buffer[]): Promise<object> {
  return new Promise((resolve) => {
    let bytes = 0;
    const socket = connect({ host, port });
    const end = (outcome: string): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ outcome, bytesBehindGreeting: Math.max(0, bytes - GREETING_BYTES) });
    };
    const timer = setTimeout(() => end('not hung up on'), PATIENCE_MS);
    socket.on('connect', () => words.forEach((each) => socket.write(each)));
    socket.on('data', (part) => (bytes += part.byteLength));
    socket.on('error', () => {});
    socket.on('close', () => end('hung up on'));
  });
}

const crowd: Socket[] = [];

/** Settles when each connection stands, or was refused. */
async function gather({ host, ports, count }: NonNullable<Orders['crowd']>): Promise<void> {
  let standing = 0;
  const arrivals = Array.from(
    { length: count },
    (_, index) =>
      new Promise<void>((resolve) => {
        const socket = connect({ host, port: ports[index % ports.length] ?? 0 });
        socket.on('connect', () => {
          standing++;
          resolve();
        });
        socket.on('error', () => resolve());
        crowd.push(socket);
      }),
  );
  await Promise.all(arrivals);
  say({ crowd: { standing } });
}

onLines(async (line) => {
  const { knock, crowd: crowded, replay } = line as Orders;
  if (knock !== undefined) {
    const { host, port, mechanism } = knock;
    const words = [greetingOf(mechanism), entrance[mechanism] ?? Buffer.alloc(0)];
    say({ knock: await spokenTo(host, port, words) });
  }
  if (crowded !== undefined) await gather(crowded);
  if (replay !== undefined)
    say({ replay: await spokenTo(replay.host, replay.port, [Buffer.from(replay.base64, 'base64')]) });
});
