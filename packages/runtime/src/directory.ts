import type { Address, NodeId } from '@troupe/core';

/** Where an actor lives now. */
export interface Residence {
  readonly node: NodeId;
  /** Life number of the actor there, from 1. */
  readonly incarnation: number;
}

/**
 * Address → node: a pure function of the topology plus a small overlay of moves and restarts, so that the directory's
 * size grows with what changed, not with the cluster.
 */
export class Directory {
  readonly #base: (address: Address) => NodeId;
  readonly #overlay = new Map<Address, Residence>();

  constructor(base: (address: Address) => NodeId) {
    this.#base = base;
  }

  lookup(address: Address): Residence {
    return this.#overlay.get(address) ?? { node: this.#base(address), incarnation: 1 };
  }

  /** Records a move or a restart; an older incarnation than the known one is ignored. */
  update(address: Address, residence: Residence): void {
    if (residence.incarnation >= this.lookup(address).incarnation) this.#overlay.set(address, residence);
  }

  get overlaySize(): number {
    return this.#overlay.size;
  }
}
