import { addresses, messageKinds, messages, type ProgramSystem } from '@troupe/actors';
import { serializeError, type Address, type NodeId, type TroupeError } from '@troupe/core';
import {
  ActorSystem,
  Directory,
  MAILBOX_CAPACITY,
  MailboxFullError,
  type SystemOptions,
} from '@troupe/runtime';
import { defaultHome, type ResolvedTopology } from '@troupe/topology/worker';
import { createCodec, type Codec } from '@troupe/wire';
import type { Reports } from './run/reports.ts';

type JobSystemOptions = Omit<SystemOptions, 'codec' | 'messages' | 'directory' | 'onFailure' | 'onStuck'> & {
  readonly topology: ResolvedTopology;
  readonly reports: Reports;
  /** Default: msgpack headers with a checksum. */
  readonly codec?: Codec;
  /** Where actors start. Default: computed from the topology. */
  readonly home?: (address: Address) => NodeId;
  /** Sees what failed an actor, as it was thrown. */
  readonly failed?: (error: TroupeError, actor: Address) => void;
  /** Hears of every node whose connection broke. */
  readonly lost?: (other: NodeId, reason: string) => void;
  /** Ends the run: the supervisor's own mailbox is full, so that nobody can be told. Never on the node of a worker. */
  readonly unjudged?: (error: TroupeError) => void;
};

/** What a machine may have under way to the trainer at a time: votes, a measure, the count of a batch, answers to a decision. */
const EVENTS_OF_A_MACHINE = 8;

/** What a holder of the same parameters may have under way to a shard, where all exchange at once. */
const EVENTS_OF_A_HOLDER = 8;

/**
 * Events that may wait for one actor of a cluster: all machines may answer the trainer at once, and a shard hears as many holders as
 * `wire.fanout` lets it, or all of them.
 */
export const mailboxCapacityOf = ({
  machines,
  parallel,
  wire,
}: Pick<ResolvedTopology, 'machines' | 'parallel' | 'wire'>): number =>
  Math.max(
    MAILBOX_CAPACITY,
    EVENTS_OF_A_MACHINE * machines.length,
    wire.fanout === 0 ? EVENTS_OF_A_HOLDER * parallel.dp : 0,
  );

/** The actors of one node of a job; what fails, hangs or is lost around them is the supervisor's to judge, wherever it lives. */
export function createJobSystem({
  topology,
  reports,
  codec,
  home,
  mailboxCapacity,
  failed,
  lost,
  unjudged,
  ...ports
}: JobSystemOptions): ProgramSystem {
  const { node, transport } = ports;
  const { incarnation } = transport;
  const system: ProgramSystem = new ActorSystem({
    ...ports,
    mailboxCapacity: mailboxCapacity ?? mailboxCapacityOf(topology),
    messages,
    codec: codec ?? createCodec({ kinds: messageKinds, checksum: 'header' }),
    directory: new Directory(home ?? defaultHome(topology)),
    onFailure: (error, actor) => {
      failed?.(error, actor);
      // Telling it would fill its mailbox once more, and so on forever.
      if (actor === addresses.supervisor && error instanceof MailboxFullError) {
        unjudged?.(error);
        return;
      }
      const { code, message, retryable } = serializeError(error, actor);
      system.tell(reports.to, 'actor.failed', {
        body: { actor, code, message, retryable, node, incarnation },
      });
    },
    onStuck: (error, wait) =>
      system.tell(reports.to, 'worker.stuck', {
        body: { sentence: error.message, awaited: wait.awaited[0] ?? '' },
      }),
  });
  transport.onPeer((event) => {
    if (event.type === 'peer.unreached') {
      if (reports.lossOf(event.node) !== 'link.lost') return;
      const reason = `${event.tried} for ${event.afterMs / 1000} s`;
      system.tell(reports.to, 'link.unreached', { body: { node: event.node, by: node, reason } });
      return;
    }
    if (event.type !== 'peer.lost') return;
    lost?.(event.node, event.reason);
    const loss = reports.lossOf(event.node);
    if (loss === null) return;
    const { reason, incarnation: life } = event;
    const body = { node: event.node, incarnation: life, reason, by: node };
    if (loss === 'worker.lost') system.tell(addresses.supervisor, loss, { body });
    else system.tell(reports.to, loss, { body });
  });
  return system;
}
