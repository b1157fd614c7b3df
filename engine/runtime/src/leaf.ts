/** What xstate calls an event: anything with a type. */
export interface EventObject {
  readonly type: string;
}

/** What guards, assignments and computed parameters are given. */
export interface Scope {
  readonly context: unknown;
  readonly event: EventObject;
}

export type Computed = (scope: Scope, params?: unknown) => unknown;

/** Something that a transition does, in the order in which it is written: one shape for all, so that running them stays cheap. */
export interface Operation {
  readonly kind: 'effect' | 'assign' | 'raise' | 'cancel';
  readonly type: string;
  /** Of an effect: a value, or computed where it is due. */
  readonly params: unknown;
  /** Of an assignment: the new fields by name, or one function that makes them. */
  readonly assignment: readonly { readonly key: string; readonly value: unknown }[] | Computed;
  /** Of `raise` and `cancel`. */
  readonly id: string;
  readonly raised: unknown;
  readonly delay: unknown;
}

/** A transition out of one leaf state, with all that leaving, taking and entering asks for. */
export interface Edge {
  readonly guard: Computed | null;
  readonly guardParams: unknown;
  /** No target and no action: xstate treats this as an explicit refusal; so do we. */
  readonly isForbidden: boolean;
  readonly operations: readonly Operation[];
  /** Where it leads; the leaf itself when it leads nowhere. */
  readonly target: Leaf;
}

/** A state without states below it; our machines are in exactly one at a time. */
export class Leaf {
  /** `serving`, or `serving.forwarding` for a state within a state. */
  readonly name: string;
  /** Its node in xstate's tree of the machine. */
  readonly node: object;
  /** Edges by type of event, the innermost state's first: the first whose guard passes is taken. */
  readonly edges = new Map<string, readonly Edge[]>();
  /** Edges that are taken without an event. */
  always: readonly Edge[] = [];

  constructor(name: string, node: object) {
    this.name = name;
    this.node = node;
  }
}
