import type { ExecutionContext } from 'ava';
import { nodeId, silentLogger } from '@troupe/core';
import { openZmqTransport, type ZmqTransport, type ZmqTransportOptions } from '../index.ts';
import { realClock } from './probe.ts';

/** A node over TCP of loopback that dials again at once, closed when the test ends. */
export async function openNode(
  t: ExecutionContext,
  node: string,
  options: Partial<ZmqTransportOptions> = {},
): Promise<ZmqTransport> {
  const transport = await openZmqTransport({
    node: nodeId(node),
    incarnation: 1,
    clock: realClock,
    logger: silentLogger,
    listen: { kind: 'tcp', host: '127.0.0.1' },
    redialMs: 5,
    ...options,
  });
  t.teardown(() => transport.close(0));
  return transport;
}
