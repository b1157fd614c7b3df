/** What one side of a TCP connection of IPv4 has said. */
export interface TcpStream {
  readonly to: string;
  readonly port: number;
  readonly bytes: Buffer;
}

interface Segment {
  readonly stream: string;
  readonly to: string;
  readonly port: number;
  readonly sequence: number;
  readonly payload: Buffer;
}

const ETHERNET_BYTES = 14;
const IPV4 = 0x0800;
const TCP = 6;

/** The TCP segment in a frame of Ethernet; null where there is none, or an empty one. */
function segmentOf(frame: Buffer): Segment | null {
  if (frame.byteLength < ETHERNET_BYTES + 40 || frame.readUInt16BE(12) !== IPV4) return null;
  const packet = frame.subarray(ETHERNET_BYTES);
  if (packet[9] !== TCP) return null;
  const head = 4 * ((packet[0] ?? 0) & 15);
  const segment = packet.subarray(head, packet.readUInt16BE(2));
  if (segment.byteLength < 20) return null;
  const payload = segment.subarray(4 * ((segment[12] ?? 0) >> 4));
  if (payload.byteLength === 0) return null;
  const to = packet.subarray(16, 20).join('.');
  const [fromPort, port] = [segment.readUInt16BE(0), segment.readUInt16BE(2)];
  const stream = `${packet.subarray(12, 16).join('.')}:${fromPort} ${to}:${port}`;
  return { stream, to, port, sequence: segment.readUInt32BE(4), payload };
}

/**
 * What was said in the TCP connections that frames are of, from the first segment seen on, as far as nothing is missing.
 *
 * A frame that was seen twice, or sent again, counts once.
 */
export function tcpStreams(frames: Iterable<Buffer>): readonly TcpStream[] {
  const streams = new Map<
    string,
    { readonly to: string; readonly port: number; next: number; parts: Buffer[] }
  >();
  for (const frame of frames) {
    const segment = segmentOf(frame);
    if (segment === null) continue;
    const { stream, to, port, sequence, payload } = segment;
    const known = streams.get(stream) ?? { to, port, next: sequence, parts: [] };
    streams.set(stream, known);
    if (sequence !== known.next) continue;
    known.parts.push(payload);
    known.next = (sequence + payload.byteLength) >>> 0;
  }
  return Array.from(streams.values(), ({ to, port, parts }) => ({ to, port, bytes: Buffer.concat(parts) }));
}
