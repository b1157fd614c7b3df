import { fork, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nodeId, silentLogger, type Clock, type Transport } from '@troupe/core';
import {
  createMemoryNetwork,
  openZmqTransport,
  type CurveKeys,
  type CreditBytes,
  type Endpoints,
  type Listen,
  type ZmqTransport,
  type ZmqTransportOptions,
} from '../index.ts';
import type { PeerOrder, PeerReady } from './peer-process.ts';
import { realClock } from './probe.ts';

export interface TestNetworkOptions {
  readonly clock?: Clock;
  readonly creditBytes?: CreditBytes;
  readonly maxFrameBytes?: number;
}

/** Nodes that know where the others are; what the conformance suite needs of a body. */
export interface TestNetwork {
  connect(node: string, incarnation?: number): Promise<Transport>;
  /** A node that sends every packet back and can be killed: a process of its own where the body allows it. */
  spawn(
    node: string,
    incarnation: number,
  ): Promise<{ readonly kill: (signal?: 'SIGKILL' | 'SIGSTOP') => void }>;
  end(): Promise<void>;
}

export type MakeNetwork = (options?: TestNetworkOptions) => Promise<TestNetwork>;

export const memoryNetwork: MakeNetwork = async (options = {}) => {
  const network = createMemoryNetwork({ clock: realClock, ...options });
  const opened: Transport[] = [];
  const connect = (node: string, incarnation: number) => {
    const transport = network.connect(nodeId(node), incarnation);
    opened.push(transport);
    return transport;
  };
  return {
    connect: async (node, incarnation = 1) => connect(node, incarnation),
    async spawn(node, incarnation) {
      const transport = connect(node, incarnation);
      transport.onPacket((from, lane, packet, release) => {
        transport.send(from, lane, packet);
        release();
      });
      return { kill: () => transport.kill() };
    },
    async end() {
      await Promise.all(opened.map((transport) => transport.close(0)));
    },
  };
};

/** A network of ZeroMQ transports; each has its own directory or its own free ports, and with `keys` its own pair. */
export const zmqNetwork =
  (
    kind: 'ipc' | 'tcp',
    more: Partial<ZmqTransportOptions> = {},
    keys: ReadonlyMap<string, Pick<CurveKeys, 'public' | 'secret'>> = new Map(),
  ): MakeNetwork =>
  async (options = {}) => {
    const directory = await mkdtemp(join(tmpdir(), 'tr-'));
    const listen: Listen = kind === 'ipc' ? { kind, directory } : { kind, host: '127.0.0.1' };
    const places = new Map<string, Endpoints>();
    const opened: ZmqTransport[] = [];
    const children: ChildProcess[] = [];
    const nodes = new Map([...keys].map(([node, own]) => [node, own.public]));
    const peers = (node: string): Endpoints | undefined => places.get(node);
    const place = (node: string, endpoints: Endpoints): void => {
      places.set(node, endpoints);
      for (const transport of opened) transport.setPeers(peers);
    };
    return {
      async connect(node, incarnation = 1) {
        const transport = await openZmqTransport({
          node: nodeId(node),
          incarnation,
          listen,
          peers,
          clock: realClock,
          logger: silentLogger,
          ...options,
          ...more,
          ...(keys.has(node) ? { curve: { ...keys.get(node)!, nodes } } : {}),
        });
        opened.push(transport);
        place(node, transport.endpoints);
        return transport;
      },
      async spawn(node, incarnation) {
        const order: PeerOrder = {
          node,
          incarnation,
          listen,
          ...(keys.has(node) ? { curve: keys.get(node)!, nodes: [...nodes] } : {}),
        };
        const child = fork(new URL('peer-process.js', import.meta.url), [JSON.stringify(order)]);
        children.push(child);
        const ready = await new Promise<PeerReady>((resolve, reject) => {
          child.once('message', (message) => resolve(message as PeerReady));
          child.once('exit', (code) => reject(new Error(`the peer process ended with ${code}`)));
        });
        place(node, ready.endpoints);
        return { kill: (signal = 'SIGKILL') => void child.kill(signal) };
      },
      async end() {
        for (const child of children) child.kill('SIGKILL');
        await Promise.all(opened.map((transport) => transport.close(0)));
        await rm(directory, { recursive: true });
      },
    };
  };
