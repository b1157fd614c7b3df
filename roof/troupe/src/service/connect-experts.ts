import { mountAsker, type Answer } from '@troupe/actors';
import {
  assert,
  nodeId,
  OptionError,
  shownValue,
  silentLogger,
  TroupeError,
  type Address,
  type Logger,
} from '@troupe/core';
import { escalate } from '@troupe/runtime';
import type { CurveKeys, Listen } from '@troupe/transport';
import { checkOptions, objectWith, positive, required, rule, type OptionRules } from '../option-rules.ts';
import { systemClock } from '../ports/clock.ts';
import { anywhere, askerOf, openServiceSystem, type ServiceEndpoints } from './service-system.ts';

export interface ConnectExpertsOptions {
  /** Of the service. */
  readonly endpoints: ServiceEndpoints;
  /** Where answers come in. Default: ports on loopback that the system chooses. */
  readonly listen?: Listen;
  readonly curve?: CurveKeys;
  /** A question without an answer after this fails, milliseconds. Default 30 000. */
  readonly deadlineMs?: number;
  readonly logger?: Logger;
}

/** Asks a group of experts in another process. */
export interface ExpertClient {
  /**
   * Outputs of rows: row n by expert `experts_N[n]` of the group, from 0. Any number of questions may be open.
   *
   * @param x_ND - rows of `endpoints.dim`, one behind the other
   * @returns as many outputs, in the same order
   * @throws {TroupeError} TROUPE_OPTION, TROUPE_SERVICE_BUSY, TROUPE_DEADLINE, TROUPE_TRANSPORT_PEER_LOST,
   * TROUPE_TRANSPORT_REFUSED, TROUPE_TRANSPORT_CLOSED
   */
  forward(x_ND: Float32Array, experts_N: Int32Array): Promise<Float32Array>;
  close(): Promise<void>;
}

const texts = ['node', 'address', 'control', 'data'] as const;

const rules: OptionRules<ConnectExpertsOptions> = {
  endpoints: required(
    rule('the endpoints of a service, as serveExperts gives them', (value) => {
      const found = value as Readonly<Record<string, unknown>> | null;
      return (
        typeof found === 'object' && found !== null && texts.every((key) => typeof found[key] === 'string')
      );
    }),
  ),
  listen: objectWith('where to listen'),
  curve: objectWith('CURVE keys'),
  deadlineMs: positive('milliseconds'),
  logger: objectWith('a logger', 'debug', 'info', 'warn', 'error', 'child'),
};

const GOODBYE_MS = 1000;
let numClients = 0;

/**
 * Connects to a service of {@link serveExperts}; the connection is made by the first question.
 *
 * @throws {OptionError} TROUPE_OPTION with everything that is wrong
 */
export async function connectExperts(options: ConnectExpertsOptions): Promise<ExpertClient> {
  checkOptions('connectExperts', options, rules);
  const { endpoints, deadlineMs = 30_000 } = options;
  const service = nodeId(endpoints.node);
  const node = nodeId(`asker-${process.pid}-${++numClients}`);
  const self = askerOf(node);
  const open = new Map<number, (answer: Answer) => void>();
  const settle = (id: number, answer: Answer): void => {
    open.get(id)?.(answer);
    open.delete(id);
  };
  const endAll = (error: TroupeError): void => {
    for (const id of open.keys()) settle(id, { error });
  };
  const { system, transport } = await openServiceSystem({
    node,
    service,
    clock: systemClock(),
    logger: options.logger ?? silentLogger,
    transport: {
      listen: options.listen ?? anywhere,
      peers: (peer) => (peer === service ? endpoints : undefined),
      onRefused: endAll,
      ...(options.curve === undefined ? {} : { curve: options.curve }),
    },
    failed: endAll,
  });
  system.mount(self, escalate, mountAsker(endpoints.address as Address, { deadlineMs, answered: settle }));
  transport.onPeer((event) => {
    if (event.type === 'peer.up' || event.type === 'peer.unreached') return;
    const sentence = `the service at ${endpoints.control} ${event.type === 'peer.lost' ? `was lost (${event.reason})` : 'was closed'}`;
    system.tell(self, 'service.lost', { body: { sentence } });
  });
  system.listen();
  let numAsked = 0;
  let isClosed = false;
  return {
    forward: async (x_ND, experts_N) => {
      if (isClosed)
        throw new TroupeError('TROUPE_TRANSPORT_CLOSED', 'this client of a service of experts was closed');
      const problems = [
        ...(x_ND instanceof Float32Array ? [] : [`x_ND is ${shownValue(x_ND)}, expected a Float32Array`]),
        ...(experts_N instanceof Int32Array
          ? []
          : [`experts_N is ${shownValue(experts_N)}, expected an Int32Array`]),
      ];
      if (problems.length > 0) throw new OptionError('forward', problems);
      const id = ++numAsked;
      const answer = await new Promise<Answer>((resolve) => {
        open.set(id, resolve);
        // Copies: the transport reads them later.
        system.tell(self, 'question.put', {
          tensors: { x_ND: x_ND.slice(), experts_N: experts_N.slice() },
          step: id,
        });
      });
      if ('error' in answer) throw answer.error;
      assert(answer.y_ND instanceof Float32Array, 'an answer holds rows');
      return answer.y_ND;
    },
    close: async () => {
      isClosed = true;
      endAll(new TroupeError('TROUPE_TRANSPORT_CLOSED', 'this client of a service of experts was closed'));
      system.stop();
      await transport.close(GOODBYE_MS);
    },
  };
}
