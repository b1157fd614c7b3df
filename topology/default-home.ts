import type { Address, NodeId } from '@troupe/core';
import { isMoeLayer } from '@troupe/spec';
import { agentNodeOf, leadNode, workerNode } from './layout/address.ts';
import { Layout } from './layout/layout.ts';
import type { MeshPlace } from './layout/mesh.ts';
import { stageIndex, type StageIndex, type WorkerRank } from './layout/rank.ts';
import { createPlacement } from './placement.ts';
import type { ResolvedTopology } from './resolved.ts';

/** Names and numbers of an address's parts: `expert/L3/ep0/edp1` → L 3, ep 0, edp 1. */
function partsOf(address: string): { readonly names: string; readonly numbers: readonly number[] } {
  const names: string[] = [];
  const numbers: number[] = [];
  for (const part of address.split('/')) {
    const match = /^([A-Za-z]+?)(0|[1-9]\d*)$/u.exec(part);
    names.push(match?.[1] ?? part);
    if (match !== null) numbers.push(Number(match[2]));
  }
  return { names: names.join('/'), numbers };
}

/**
 * Where an actor starts, computed from its address: what a node has to know of a cluster does not grow with it.
 *
 * @returns a function that throws {@link AddressUnknownError} TROUPE_ADDRESS_UNKNOWN for what the topology does not have
 */
export function defaultHome(topology: ResolvedTopology): (address: Address) => NodeId {
  let listed: ((address: string) => NodeId) | null = null;
  const lookUp = (address: string): NodeId => {
    listed ??= createPlacement(topology).nodeOf;
    return listed(address);
  };
  const { model, machines } = topology;
  const layout = new Layout(topology);
  const { mesh } = layout;
  const { pp, dp, tp } = mesh;
  const worker = (at: MeshPlace): NodeId | null =>
    at.pp < pp && at.dp < dp && at.tp < tp ? workerNode(mesh.rankOf(at)) : null;
  /** The worker that has a shard of this name or its courier, or that keeps the copy of its state. */
  const holder = (role: string, name: string, rank: WorkerRank | null): NodeId | null => {
    if (rank === null) return null;
    const group = layout.groupsOf(rank).find((each) => each.name === name);
    if (group === undefined || (role === 'courier' && !layout.hasCourier(group))) return null;
    const home =
      role === 'ward' ? layout.buddyOf(group, rank) : role === 'optimizer' ? layout.homeOf(rank) : rank;
    return home === null ? null : layout.nodeOf(home);
  };
  /** The worker that a shard's name speaks of. */
  const holderAt = (axes: string, [a = 0, b = 0, c = 0]: readonly number[]): WorkerRank | null => {
    const { numGroups, numCopies } = layout.experts;
    if (axes === 'ep/edp')
      return layout.numWorkers > mesh.world && a < numGroups && b < numCopies
        ? layout.experts.workerOf({ ep: a, edp: b }, stageIndex(0))
        : null;
    if (axes !== (pp * tp > 1 ? 'pp/dp/tp' : 'dp')) return null;
    const at = pp * tp > 1 ? { pp: a, dp: b, tp: c } : { pp: 0, dp: a, tp: 0 };
    return worker(at) === null ? null : mesh.rankOf(at);
  };
  const stageOf = (layer: number): StageIndex | null =>
    layer < model.layers && isMoeLayer(model, layer) ? layout.stageOfBlock(layer) : null;
  const peers = tp > 1 ? '/tp' : '';
  const expertPeers = layout.experts.numPeers > 1 ? '/tp' : '';
  const find = (address: string): NodeId | null => {
    const { names, numbers } = partsOf(address);
    const [a = 0, b = 0, c = 0, d = 0] = numbers;
    switch (names) {
      case 'trainer':
      case 'supervisor':
        return leadNode;
      case 'agent/m':
      case 'store/m':
      case 'part/m':
        return a < machines.length ? agentNodeOf(a) : null;
      case 'feeder/dp':
        return worker({ pp: 0, dp: a, tp: 0 });
      case 'stage/pp/dp/tp':
        return worker({ pp: a, dp: b, tp: c });
      case 'pass/pp/dp/tp/s': {
        const home = worker({ pp: a, dp: b, tp: c });
        return home !== null && d < layout.slotsOf(stageIndex(a)).all.length ? home : null;
      }
      case `gate/L/pp/dp${peers}/backward`:
        return layout.pipeline.width > 1 && stageOf(a) === b ? worker({ pp: b, dp: c, tp: d }) : null;
      case `gate/L/pp/dp${peers}`:
        return stageOf(a) === b ? worker({ pp: b, dp: c, tp: d }) : null;
      case `expert/L/ep/edp${expertPeers}`: {
        const stage = stageOf(a);
        const { numGroups, numCopies, numPeers } = layout.experts;
        return stage === null || b >= numGroups || c >= numCopies || d >= numPeers
          ? null
          : workerNode(layout.experts.workerOf({ ep: b, edp: c, tp: d }, stage));
      }
      default: {
        const [role = '', name = '', ...axes] = names.split('/');
        if (!['optimizer', 'courier', 'ward'].includes(role)) return null;
        return holder(role, name, holderAt(axes.join('/'), numbers));
      }
    }
  };
  // An unknown one is reported by the list, which knows the nearest name.
  return (address) => find(address) ?? lookUp(address);
}
