import type { AnyStateMachine } from 'xstate';
import { assertPlainInput } from './plain-input.ts';
import type { Machine } from './actor.ts';
import type { Edge, EventObject, Leaf, Operation } from './leaf.ts';
import { statechartOf, valueOf, type Statechart } from './statechart.ts';

/** An action that a transition returned, with the context and event it was resolved against. */
export interface CollectedAction {
  readonly type: string;
  readonly params: unknown;
  readonly context: unknown;
  readonly event: EventObject;
}

/** A delayed transition that a machine armed (`xstate.raise` with a delay); the runtime owns the clock. */
export interface DelayedEvent {
  readonly id: string;
  readonly event: EventObject;
  readonly delayMs: number;
}

/** Where a machine is: its state and its context. It is never changed. */
export class MachineSnapshot {
  readonly leaf: Leaf;
  readonly context: unknown;

  constructor(leaf: Leaf, context: unknown) {
    this.leaf = leaf;
    this.context = context;
  }

  /** `serving`, or `serving.forwarding` for a state within a state. */
  get state(): string {
    return this.leaf.name;
  }

  /** Whether the state accepts an event, guards included. */
  can(event: EventObject): boolean {
    return select(this, event) !== null;
  }
}

export interface TransitionResult {
  readonly snapshot: MachineSnapshot;
  readonly actions: readonly CollectedAction[];
  readonly armed: readonly DelayedEvent[];
  readonly cancelled: readonly string[];
}

const nothing: readonly never[] = [];
const noEvents: EventObject[] = [];

/**
 * Runs one xstate machine purely: (snapshot, event) → (snapshot, actions).
 *
 * The machine is read once into tables ({@link statechartOf}); xstate's own `machine.transition` with a scope that collects does the same
 * at ten times the cost, and is the oracle of the test. Session ids, xstate's clock and promises never take part.
 */
export class PureMachine {
  readonly #chart: Statechart;

  constructor(machine: Machine) {
    this.#chart = statechartOf(machine as AnyStateMachine);
  }

  initial(input: unknown): TransitionResult {
    assertPlainInput(this.#chart.machine.id, input);
    const event = { type: 'xstate.init', input };
    const { context } = this.#chart.machine.config;
    const made = (typeof context === 'function' ? context({ input }) : context) as object | undefined;
    return new Transition({ ...made }, event, this.#chart.first);
  }

  /** @returns null when the state does not accept the event */
  transition(snapshot: MachineSnapshot, event: EventObject): TransitionResult | null {
    const edge = select(snapshot, event);
    return edge === null ? null : new Transition(snapshot.context, event, edge);
  }
}

/** The edge that an event takes out of a state; null when the state does not accept it. */
function select({ leaf, context }: MachineSnapshot, event: EventObject): Edge | null {
  const edges = leaf.edges.get(event.type);
  if (edges === undefined) return null;
  for (const edge of edges) if (passes(edge, context, event)) return edge.isForbidden ? null : edge;
  return null;
}

function passes({ guard, guardParams }: Edge, context: unknown, event: EventObject): boolean {
  if (guard === null) return true;
  const scope = { context, event };
  return Boolean(guard(scope, valueOf(guardParams, scope)));
}

/** One transition on its way: an edge, then those that need no event, until none is left. */
class Transition implements TransitionResult {
  snapshot: MachineSnapshot;
  actions: CollectedAction[] | typeof nothing = nothing;
  armed: DelayedEvent[] | typeof nothing = nothing;
  cancelled: string[] | typeof nothing = nothing;
  #context: unknown;
  #event: EventObject;
  /** Events raised without a delay; they are handled before the transition ends. */
  #raised: EventObject[] = noEvents;

  constructor(context: unknown, event: EventObject, edge: Edge) {
    this.#context = context;
    this.#event = event;
    let leaf = this.#follow(edge);
    for (;;) {
      const next = leaf.always.length === 0 ? undefined : this.#passing(leaf.always);
      const before = this.#context;
      // Skip an eventless transition that changes nothing, or this loops forever.
      if (next !== undefined && (this.#follow(next) !== leaf || this.#context !== before)) {
        leaf = next.target;
        continue;
      }
      const raised = this.#raised.shift();
      if (raised === undefined) break;
      this.#event = raised;
      const taken = this.#passing(leaf.edges.get(raised.type) ?? nothing);
      if (taken !== undefined) leaf = this.#follow(taken);
    }
    this.snapshot = new MachineSnapshot(leaf, this.#context);
  }

  #passing(edges: readonly Edge[]): Edge | undefined {
    for (const edge of edges) if (passes(edge, this.#context, this.#event)) return edge;
    return undefined;
  }

  #follow({ operations, target }: Edge): Leaf {
    for (const operation of operations) this.#do(operation);
    return target;
  }

  #do(operation: Operation): void {
    const context = this.#context;
    const event = this.#event;
    switch (operation.kind) {
      case 'effect': {
        const { type, params } = operation;
        if (this.actions === nothing) this.actions = [];
        const resolved = params === undefined ? undefined : valueOf(params, { context, event });
        (this.actions as CollectedAction[]).push({ type, params: resolved, context, event });
        return;
      }
      case 'assign':
        this.#context = assigned(operation, context, event);
        return;
      case 'raise':
        this.#raise(operation, valueOf(operation.raised, { context, event }) as EventObject);
        return;
      case 'cancel': {
        const { id } = operation;
        // A state that was only passed through has armed its delay in this very transition.
        this.armed = (this.armed as DelayedEvent[]).filter((each) => each.id !== id);
        this.cancelled = [...this.cancelled, id];
      }
    }
  }

  #raise({ id, delay }: Operation, event: EventObject): void {
    const delayMs = valueOf(delay, { context: this.#context, event: this.#event });
    if (typeof delayMs === 'number') this.armed = [...this.armed, { id, event, delayMs }];
    else this.#raised = [...this.#raised, event];
  }
}

/** A context with the fields that an assignment makes; all of them see the context before. */
function assigned({ assignment }: Operation, context: unknown, event: EventObject): unknown {
  const scope = { context, event };
  if (typeof assignment === 'function') return { ...(context as object), ...(assignment(scope) as object) };
  const next: Record<string, unknown> = { ...(context as object) };
  for (const { key, value } of assignment) next[key] = valueOf(value, scope);
  return next;
}
