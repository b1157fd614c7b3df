import { addresses } from '@troupe/actors';
import type { Address, NodeId } from '@troupe/core';
import { agentNodeOf, leadNode, workerRank, type Layout } from '@troupe/topology/worker';

/** What a node tells of what goes wrong around it, and whom. */
export interface Reports {
  /** Of a worker its agent, which passes it on; else the supervisor, which judges. */
  readonly to: Address;
  /** What the end of a connection to a node is; null: somebody else tells of it. */
  readonly lossOf: (node: NodeId) => 'worker.lost' | 'link.lost' | null;
}

/** Role and position of a node: `worker/3`. */
const partsOf = (node: NodeId): readonly [string, number] => {
  const [role = '', index = ''] = node.split('/');
  return [role, Number(index)];
};

function machineOf(layout: Layout, node: NodeId): number {
  const [role, index] = partsOf(node);
  return role === 'worker' ? layout.machineOf(workerRank(index)) : index;
}

/**
 * An agent reports that its workers are gone, and the lead that agents are. Between others a broken connection has lost messages, also that
 * to the first agent, whose end would be the lead's own: the step has to be restarted.
 *
 * @param storeIsBesideLead - while agents are processes of their own: the first is one like the others
 */
export function reportsOf(
  layout: Layout,
  node: NodeId,
  { storeIsBesideLead = false }: { readonly storeIsBesideLead?: boolean } = {},
): Reports {
  const [role] = partsOf(node);
  const { supervisor } = addresses;
  const isWorker = (other: NodeId): boolean => ['worker', 'host'].includes(partsOf(other)[0]);
  if (role === 'lead') {
    // Workers load from a store beside the lead, and save there; whether they live their agents say.
    if (storeIsBesideLead)
      return { to: supervisor, lossOf: (other) => (isWorker(other) ? 'link.lost' : 'worker.lost') };
    const first = agentNodeOf(0);
    return { to: supervisor, lossOf: (other) => (other === first ? 'link.lost' : 'worker.lost') };
  }
  const machine = machineOf(layout, node);
  if (role === 'agent')
    return {
      to: supervisor,
      lossOf: (other) => {
        if (!isWorker(other)) return null;
        return machineOf(layout, other) === machine ? 'worker.lost' : 'link.lost';
      },
    };
  const own = agentNodeOf(machine);
  return {
    to: addresses.agent(machine),
    lossOf: (other) => (other === own || other === leadNode ? null : 'link.lost'),
  };
}
