import type { Address, NodeId } from '@troupe/core';
import type { ActorStatus, ActorSystem, Turn } from '@troupe/runtime';

/** An actor of a run, as it is whenever one looks: also in the next life of its worker. */
export interface ActorView {
  /** `expert/L0/ep1/edp0`: role, and where in the model and the mesh. */
  readonly address: Address;
  readonly node: NodeId;
  /** `serving`, or `serving.forwarding` for a state within a state. */
  readonly state: string;
  /** Life number within its system. */
  readonly incarnation: number;
  /** Events that wait. */
  readonly mailboxSize: number;
  /**
   * Calls `listener` after every turn of this actor: what it got, from whom, and which state it went to. What a listener throws ends the run,
   * as that of any callback.
   *
   * @returns a function that ends the subscription
   */
  subscribe(listener: (turn: Turn) => void): () => void;
}

type Listener = (turn: Turn) => void;

/** The actors of the systems of a run. Turns are looked at only while somebody listens. */
export class ActorViews {
  readonly #systems: () => ReadonlyMap<NodeId, ActorSystem>;
  readonly #call: (what: string, run: () => unknown) => void;
  readonly #listeners = new Map<Address, Set<Listener>>();
  readonly #ends = new Map<ActorSystem, () => void>();

  /** @param call - calls code of the embedding program */
  constructor(
    systems: () => ReadonlyMap<NodeId, ActorSystem>,
    call: (what: string, run: () => unknown) => void,
  ) {
    this.#systems = systems;
    this.#call = call;
  }

  list(): readonly ActorView[] {
    return [...this.#systems()].flatMap(([node, system]) =>
      system.statuses().map((status) => this.#view(node, status)),
    );
  }

  /** A life of a node began; the one before it is over. */
  begun(system: ActorSystem): void {
    if (this.#listeners.size > 0) this.#watch(system);
  }

  #view(node: NodeId, first: ActorStatus): ActorView {
    const { address } = first;
    const now = (): ActorStatus => this.#systems().get(node)?.status(address) ?? first;
    return {
      address,
      node,
      get state() {
        return now().state;
      },
      get incarnation() {
        return now().incarnation;
      },
      get mailboxSize() {
        return now().mailboxSize;
      },
      subscribe: (listener) => this.#subscribe(address, listener),
    };
  }

  #subscribe(address: Address, given: Listener): () => void {
    // Two subscriptions of one function are two.
    const listener: Listener = (turn) => given(turn);
    const known = this.#listeners.get(address) ?? new Set<Listener>();
    this.#listeners.set(address, known.add(listener));
    for (const system of this.#systems().values()) this.#watch(system);
    return () => {
      known.delete(listener);
      if (known.size > 0 || this.#listeners.get(address) !== known) return;
      this.#listeners.delete(address);
      if (this.#listeners.size > 0) return;
      for (const end of this.#ends.values()) end();
      this.#ends.clear();
    };
  }

  #watch(system: ActorSystem): void {
    if (this.#ends.has(system)) return;
    const end = system.observe((turn) => {
      for (const listener of this.#listeners.get(turn.address) ?? [])
        this.#call(`a subscription of ${turn.address}`, () => listener(turn));
    });
    this.#ends.set(system, end);
  }
}
