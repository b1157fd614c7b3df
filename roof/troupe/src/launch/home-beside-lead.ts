import type { Address, NodeId } from '@troupe/core';
import { defaultHome, leadNode, type ResolvedTopology } from '@troupe/topology/worker';

/** Where actors are while all agents live in the process of the lead. */
export function homeBesideLead(topology: ResolvedTopology): (address: Address) => NodeId {
  const home = defaultHome(topology);
  return (address) => {
    const node = home(address);
    return node.startsWith('agent/') ? leadNode : node;
  };
}
