import type { NodeId } from '@troupe/core';
import { agentNodeOf, leadNode } from './layout/address.ts';
import { createPlacement, type Placement } from './placement.ts';
import type { ResolvedTopology } from './resolved.ts';

/** A port for control messages, and the next one for data. */
export const PORTS_A_PROCESS = 2;

/**
 * The first of the two ports of every process, from `wire.port` on. Without a launcher: the lead, in whose process the agents are, workers,
 * hosts, as `launch` has them. With one, of each machine its agent, its workers by rank and its host, and behind those of the largest machine
 * the lead, so that it may run on any of them; machines that are played by this one share its ports. Empty: any free ones.
 */
export function portsOf(
  topology: ResolvedTopology,
  placement: Pick<Placement, 'workers' | 'hosts' | 'agents'> = createPlacement(topology),
): ReadonlyMap<NodeId, number> {
  const { launcher, wire } = topology;
  const { port } = wire;
  const ports = new Map<NodeId, number>();
  if (port === 'auto') return ports;
  if (launcher === null) {
    const nodes = [
      leadNode,
      ...placement.workers.map(({ id }) => id),
      ...placement.hosts.map(({ id }) => id),
    ];
    return new Map(nodes.map((node, index) => [node, port + PORTS_A_PROCESS * index]));
  }
  const byMachine: NodeId[][] = placement.agents.map((_, machine) => [agentNodeOf(machine)]);
  for (const { machineIndex, id } of [...placement.workers, ...placement.hosts])
    byMachine[machineIndex]?.push(id);
  let [next, last] = [port, port];
  for (const nodes of byMachine) {
    if (launcher.kind !== 'local') next = port;
    for (const node of nodes) {
      ports.set(node, next);
      next += PORTS_A_PROCESS;
    }
    last = Math.max(last, next);
  }
  ports.set(leadNode, last);
  return ports;
}
