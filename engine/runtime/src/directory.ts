import type { Address, NodeId } from '@troupe/core';

/**
 * Address → node: a pure function of the topology, and the lives of nodes that restarted, so that the directory's size grows with what
 * was lost, not with the cluster.
 */
export class Directory {
  readonly #base: (address: Address) => NodeId;
  /** Nodes that have lived before. */
  readonly #lives = new Map<NodeId, number>();

  constructor(base: (address: Address) => NodeId) {
    this.#base = base;
  }

  nodeOf(address: Address): NodeId {
    return this.#base(address);
  }

  /** Life number of a node's actors, from 1. */
  incarnationOf(node: NodeId): number {
    return this.#lives.get(node) ?? 1;
  }

  /**
   * Judges a message by the life that sent it, and learns of a new one.
   *
   * @returns false when a later life of the node is known: its actors have been replaced, and what this one says counts no more
   */
  hears(node: NodeId, incarnation: number): boolean {
    const known = this.incarnationOf(node);
    if (incarnation > known) this.#lives.set(node, incarnation);
    return incarnation >= known;
  }
}
