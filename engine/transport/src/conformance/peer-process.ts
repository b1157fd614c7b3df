import { nodeId, silentLogger } from '@troupe/core';
import { openZmqTransport, type CurveKeys, type Endpoints, type Listen } from '../index.ts';
import { realClock } from './probe.ts';

/** What the parent passes as the only argument, JSON. */
export interface PeerOrder {
  readonly node: string;
  readonly incarnation: number;
  readonly listen: Listen;
  readonly curve?: CurveKeys;
  /** Public keys by node. */
  readonly nodes?: readonly (readonly [string, string])[];
}

/** What the child answers when it listens. */
export interface PeerReady {
  readonly endpoints: Endpoints;
}

/** A node in a process of its own: sends every packet back where it came from, after blocking its thread
 * for N milliseconds when the header says `busy N`, until it is killed or its parent is gone. */
const order = JSON.parse(process.argv[2]!) as PeerOrder;
const transport = await openZmqTransport({
  node: nodeId(order.node),
  incarnation: order.incarnation,
  listen: order.listen,
  clock: realClock,
  logger: silentLogger,
  ...(order.curve === undefined ? {} : { curve: { ...order.curve, nodes: new Map(order.nodes) } }),
});
transport.onPacket((from, lane, packet, release) => {
  const busyMs = /^busy (\d+)$/.exec(Buffer.from(packet.header).toString())?.[1];
  for (const end = performance.now() + Number(busyMs ?? 0); performance.now() < end;);
  transport.send(from, lane, {
    header: Buffer.from(packet.header),
    frames: packet.frames.map((frame) => Buffer.from(frame)),
  });
  release();
});
process.on('disconnect', () => process.exit(0));
process.send!({ endpoints: transport.endpoints } satisfies PeerReady);
