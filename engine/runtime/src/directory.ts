import type { Address, NodeId } from '@troupe/core';

/** Where an actor lives now. */
export interface Residence {
  readonly node: NodeId;
  /** Life number of the actor there, from 1. */
  readonly incarnation: number;
}

/**
 * Address → node: a pure function of the topology plus a small overlay of moves, and the lives of nodes that began anew, so that the
 * directory's size grows with what changed, not with the cluster.
 */
export class Directory {
  readonly #base: (address: Address) => NodeId;
  readonly #overlay = new Map<Address, Residence>();
  /** Nodes that have lived before. */
  readonly #lives = new Map<NodeId, number>();

  constructor(base: (address: Address) => NodeId) {
    this.#base = base;
  }

  nodeOf(address: Address): NodeId {
    const moved = this.#overlay.size === 0 ? undefined : this.#overlay.get(address);
    return moved?.node ?? this.#base(address);
  }

  lookup(address: Address): Residence {
    const moved = this.#overlay.get(address);
    if (moved !== undefined) return moved;
    const node = this.#base(address);
    return { node, incarnation: this.incarnationOf(node) };
  }

  /** Records a move; an older incarnation than the known one is ignored. */
  update(address: Address, residence: Residence): void {
    if (residence.incarnation >= this.lookup(address).incarnation) this.#overlay.set(address, residence);
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

  /** Moves and nodes that began anew. */
  get overlaySize(): number {
    return this.#overlay.size + this.#lives.size;
  }
}
