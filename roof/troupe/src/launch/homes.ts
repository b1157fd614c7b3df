import type { Address, NodeId } from '@troupe/core';
import { defaultHome, leadNode, type ResolvedTopology } from '@troupe/topology/worker';

/** Where the agents of a run are: in the process of the lead, or each in one of its own. The store is beside the lead. */
export type AgentPlace = 'beside the lead' | 'on their machines';

/** Where actors are while the store is beside the lead. */
export function homeOf(topology: ResolvedTopology, agents: AgentPlace): (address: Address) => NodeId {
  const home = defaultHome(topology);
  const isWithLead =
    agents === 'beside the lead'
      ? (_address: Address, node: NodeId): boolean => node.startsWith('agent/')
      : (address: Address): boolean => address.startsWith('store/');
  return (address) => {
    const node = home(address);
    return isWithLead(address, node) ? leadNode : node;
  };
}
