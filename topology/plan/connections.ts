import { createPlacement, type Placement } from '../placement.ts';
import { portsOf } from '../ports.ts';
import type { ResolvedTopology } from '../resolved.ts';
import { peersOf, typicalNodes } from './peers.ts';

/**
 * What the transport opens for a peer: a sending socket a lane, and a pair that tells of each one's connection; a descriptor each, and one
 * for every connection of both directions. Measured: 10 descriptors a peer, 9 a node with none.
 */
const SOCKETS_A_PEER = 6;
const DESCRIPTORS_A_PEER = 10;
/** A receiving socket a lane, and the one that is asked who may connect. */
const SOCKETS_ALONE = 3;
/** The transport without a peer 10; Node's own, the program, its data and log, pipes to other processes: at most 50. */
const DESCRIPTORS_ALONE = 60;
/** A pipe with two ends and a channel for each process that another one has started. */
const DESCRIPTORS_A_CHILD = 4;

/** Sockets of one process that the ZeroMQ library has room for (ZMQ_MAX_SOCKETS). */
export const MAX_SOCKETS = 1023;

/** Beyond this many workers only one of every kind is looked at. */
const MAX_WORKERS_LOOKED_AT = 256;

/** Processes of one kind, and what the one with the most peers has open. */
export interface ConnectedProcesses {
  readonly kind: 'lead' | 'agent' | 'worker' | 'host';
  readonly count: number;
  /** Other processes that it talks to: tensors, and what is said to lead and agents. */
  readonly peers: number;
  /** Of the ZeroMQ library. */
  readonly sockets: number;
  /** Files, sockets and connections that the system counts against `ulimit -n`. */
  readonly descriptors: number;
}

export interface PlannedConnections {
  readonly processes: readonly ConnectedProcesses[];
  /** Ports of the machine that uses most; null: processes of one machine that talk over its own sockets. */
  readonly portsAMachine: number | null;
  /** First and last port of any machine; null: any free ones. */
  readonly ports: { readonly first: number; readonly last: number } | null;
}

function processes(
  kind: ConnectedProcesses['kind'],
  {
    count,
    peers,
    children = 0,
  }: { readonly count: number; readonly peers: number; readonly children?: number },
): ConnectedProcesses {
  return {
    kind,
    count,
    peers,
    sockets: SOCKETS_ALONE + SOCKETS_A_PEER * peers,
    descriptors: DESCRIPTORS_ALONE + DESCRIPTORS_A_PEER * peers + DESCRIPTORS_A_CHILD * children,
  };
}

/** Workers and hosts of each machine. */
function processesByMachine({ agents, workers, hosts }: Placement): readonly number[] {
  const counts = agents.map(() => 0);
  for (const { machineIndex } of [...workers, ...hosts])
    counts[machineIndex] = (counts[machineIndex] ?? 0) + 1;
  return counts;
}

/**
 * Who has how many connections: each worker and host has those of its tensors, its agent and the lead, where the store is; an agent has those
 * of its machine and the lead; the lead has all. Without a launcher agents are in the process of the lead.
 */
export function planConnections(
  topology: ResolvedTopology,
  placement: Placement = createPlacement(topology),
): PlannedConnections {
  const { layout, agents, workers, hosts } = placement;
  const isApart = topology.launcher !== null;
  const most = { worker: 0, host: 0 };
  for (const node of typicalNodes(layout, MAX_WORKERS_LOOKED_AT)) {
    const kind = layout.isHost(node) ? 'host' : 'worker';
    const control = isApart ? 2 : 1;
    most[kind] = Math.max(most[kind], peersOf(topology, placement, node).size + control);
  }
  const counts = processesByMachine(placement);
  const all = workers.length + hosts.length;
  const largest = Math.max(0, ...counts);
  const ports = portsOf(topology);
  const used = [...ports.values()];
  return {
    processes: [
      processes('lead', {
        count: 1,
        peers: all + (isApart ? agents.length : 0),
        children: isApart ? agents.length : all,
      }),
      ...(isApart
        ? [processes('agent', { count: agents.length, peers: 1 + largest, children: largest })]
        : []),
      processes('worker', { count: workers.length, peers: most.worker }),
      ...(hosts.length > 0 ? [processes('host', { count: hosts.length, peers: most.host })] : []),
    ],
    portsAMachine: isApart ? 2 * (1 + largest) : null,
    ports: used.length === 0 ? null : { first: Math.min(...used), last: Math.max(...used) + 1 },
  };
}

/** What a machine allows a process. */
export interface ProcessLimits {
  /** `ulimit -Hn`: Node raises its own limit that far. Null: unknown, or none. */
  readonly descriptors: number | null;
  /** Default: {@link MAX_SOCKETS}. */
  readonly sockets?: number;
}

/** Why processes of these kinds would not get their connections on a machine with such limits; empty: they do. */
export function connectionProblems(
  { processes: all }: Pick<PlannedConnections, 'processes'>,
  limits: ProcessLimits,
): readonly string[] {
  const most = limits.sockets ?? MAX_SOCKETS;
  return all.flatMap(({ kind, peers, sockets, descriptors }) => {
    const who = `${kind === 'agent' ? 'an' : kind === 'lead' ? 'the' : 'a'} ${kind} talks to ${peers} processes`;
    return [
      ...(sockets > most
        ? [
            `${who} and needs ${sockets} sockets of at most ${most} (ZMQ_MAX_SOCKETS); use fewer devices, larger ones, or a smaller wire.fanout`,
          ]
        : []),
      ...(limits.descriptors !== null && descriptors > limits.descriptors
        ? [
            `${who} and needs about ${descriptors} descriptors of at most ${limits.descriptors}; raise the limit (ulimit -Hn, limits.conf, or LimitNOFILE of the service)`,
          ]
        : []),
    ];
  });
}
