import { connect } from 'node:net';

/**
 * How a greeting of ZMTP 3.0 begins: signature and version. The rest, this side's own mechanism, is never said: whoever has another one
 * would hang up before it has said its own.
 */
const greeting = Buffer.from([0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0]);

/**
 * Asks who listens at an endpoint how it is secured. The library does not tell: the two ends of a handshake that cannot succeed race, and
 * the slower one hears no more than that the other hung up.
 *
 * @returns `CURVE`, `NULL`, or null: nobody there, or nobody who speaks ZeroMQ's protocol within `deadlineMs`
 */
export function mechanismAt(endpoint: string, deadlineMs: number): Promise<string | null> {
  const [, host, port] = /^tcp:\/\/\[?(.+?)\]?:(\d+)$/.exec(endpoint) ?? [];
  if (host === undefined) return Promise.resolve(null);
  return new Promise((resolve) => {
    let heard = Buffer.alloc(0);
    const socket = connect({ host, port: Number(port), timeout: deadlineMs });
    const end = (mechanism: string | null): void => {
      socket.destroy();
      resolve(mechanism);
    };
    socket.on('connect', () => socket.write(greeting));
    socket.on('data', (bytes) => {
      heard = Buffer.concat([heard, bytes]);
      if (heard[0] !== 0xff || (heard.byteLength >= 10 && heard[9] !== 0x7f)) end(null);
      else if (heard.byteLength >= 32) end(heard.toString('latin1', 12, 32).replace(/\0+$/, ''));
    });
    for (const event of ['timeout', 'error', 'close'] as const) socket.on(event, () => end(null));
  });
}
