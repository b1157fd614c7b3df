import { serviceKinds, serviceMessages, type ProgramSystem } from '@troupe/actors';
import { nodeId, type Address, type Clock, type Logger, type NodeId, type TroupeError } from '@troupe/core';
import { ActorSystem, Directory } from '@troupe/runtime';
import {
  openZmqTransport,
  type Listen,
  type Place,
  type ZmqTransport,
  type ZmqTransportOptions,
} from '@troupe/transport';
import { createCodec } from '@troupe/wire';

/** Where a service is asked: plain data, to be printed, sent or written into a file for those who ask. */
export interface ServiceEndpoints {
  readonly node: string;
  /** Who answers there. */
  readonly address: string;
  /** ZeroMQ endpoints. */
  readonly control: string;
  readonly data: string;
  /** Where else it may be found, tried in this order. */
  readonly others?: readonly Place[];
  /** Width of a row, and experts of the group. */
  readonly dim: number;
  readonly experts: number;
}

/** Ports on loopback that the system chooses. */
export const anywhere: Listen = { kind: 'tcp', host: '127.0.0.1' };

const ASKER = 'asker/';

/** An asker lives on the node that its address names; all else is the service's. */
const homeOf =
  (service: NodeId) =>
  (address: Address): NodeId =>
    address.startsWith(ASKER) ? nodeId(address.slice(ASKER.length)) : service;

export const askerOf = (node: NodeId): Address => `${ASKER}${node}` as Address;

/** One end of a service: a transport, and a system without actors. */
export async function openServiceSystem(options: {
  readonly node: NodeId;
  readonly service: NodeId;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly transport: Pick<ZmqTransportOptions, 'listen' | 'peers' | 'curve' | 'onRefused'>;
  readonly failed: (error: TroupeError) => void;
}): Promise<{ readonly system: ProgramSystem; readonly transport: ZmqTransport }> {
  const { node, service, clock, logger, failed } = options;
  const transport = await openZmqTransport({ node, incarnation: 1, clock, logger, ...options.transport });
  const system: ProgramSystem = new ActorSystem({
    node,
    transport,
    messages: serviceMessages,
    codec: createCodec({ kinds: serviceKinds, checksum: 'header' }),
    clock,
    logger,
    directory: new Directory(homeOf(service)),
    schedule: (run) => void setImmediate(run),
    onFailure: failed,
    onStuck: failed,
  });
  return { system, transport };
}
