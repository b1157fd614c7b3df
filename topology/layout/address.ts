import { address, nodeId, type Address, type NodeId } from '@troupe/core';
import type { MeshPlace } from './mesh.ts';

type Axes = Readonly<Record<'pp' | 'tp', number>>;

/** On a worker of the mesh, or on one that has experts and no stage. */
type HolderPlace = MeshPlace | { readonly ep: number; readonly edp: number };

function placeOf(group: string, at: HolderPlace, axes: Axes): string {
  if (!('dp' in at)) return `${group}/ep${at.ep}/edp${at.edp}`;
  const { pp, dp, tp } = at;
  return axes.pp * axes.tp === 1 ? `${group}/dp${dp}` : `${group}/pp${pp}/dp${dp}/tp${tp}`;
}

/** Tensor peers have a gate and experts each. */
const peerOf = (tp: number, axes: Pick<Axes, 'tp'>): string => (axes.tp === 1 ? '' : `/tp${tp}`);

/** Names of actors. The name says what an actor is, never where it lives. */
export const addresses = {
  trainer: address('trainer'),
  supervisor: address('supervisor'),
  /** One a machine: it speaks for what lives there. */
  agent: (machine: number): Address => address(`agent/m${machine}`),
  store: (machine: number): Address => address(`store/m${machine}`),
  /** The store of a machine, where each writes its part of a checkpoint. */
  part: (machine: number): Address => address(`part/m${machine}`),
  feeder: ({ dp }: Pick<MeshPlace, 'dp'>): Address => address(`feeder/dp${dp}`),
  stage: ({ pp, dp, tp }: MeshPlace): Address => address(`stage/pp${pp}/dp${dp}/tp${tp}`),
  /** One for each slot of a stage. */
  pass: ({ pp, dp, tp }: MeshPlace, slot: number): Address =>
    address(`pass/pp${pp}/dp${dp}/tp${tp}/s${slot}`),
  gate: (
    layer: number,
    { pp, dp, tp = 0 }: Pick<MeshPlace, 'pp' | 'dp'> & Partial<MeshPlace>,
    axes: Pick<Axes, 'tp'> = { tp: 1 },
  ): Address => address(`gate/L${layer}/pp${pp}/dp${dp}${peerOf(tp, axes)}`),
  /** Beside it, where backward passes have a gate of their own. */
  backwardGate: (
    layer: number,
    { pp, dp, tp = 0 }: Pick<MeshPlace, 'pp' | 'dp'> & Partial<MeshPlace>,
    axes: Pick<Axes, 'tp'> = { tp: 1 },
  ): Address => address(`gate/L${layer}/pp${pp}/dp${dp}${peerOf(tp, axes)}/backward`),
  /** Copy `edp` of group `ep` of a layer's experts. */
  expert: (
    layer: number,
    { ep, edp, tp = 0 }: { readonly ep: number; readonly edp: number; readonly tp?: number },
    axes: Pick<Axes, 'tp'> = { tp: 1 },
  ): Address => address(`expert/L${layer}/ep${ep}/edp${edp}${peerOf(tp, axes)}`),
  /** One for each parameter group of a worker, which is named by dp alone while pp and tp are 1. */
  optimizer: (group: string, at: HolderPlace, axes: Axes = { pp: 1, tp: 1 }): Address =>
    address(`optimizer/${placeOf(group, at, axes)}`),
  /** The same of a group whose gradients and weights come and go in parts. */
  courier: (group: string, at: HolderPlace, axes: Axes = { pp: 1, tp: 1 }): Address =>
    address(`courier/${placeOf(group, at, axes)}`),
  /** The copy of a shard's state, on its buddy. */
  ward: (group: string, at: HolderPlace, axes: Axes = { pp: 1, tp: 1 }): Address =>
    address(`ward/${placeOf(group, at, axes)}`),
} as const;

/** The process of trainer and supervisor, apart from the agent on whose machine it is. */
export const leadNode: NodeId = nodeId('lead/0');
export const agentNodeOf = (machine: number): NodeId => nodeId(`agent/${machine}`);
export const workerNode = (rank: number): NodeId => nodeId(`worker/${rank}`);
export const hostNodeOf = (machine: number): NodeId => nodeId(`host/${machine}`);
