import { InvariantError } from '@troupe/core';
import type { AnyStateMachine } from 'xstate';
import type { Action } from './action.ts';
import { Leaf, type Computed, type Edge, type Operation, type Scope } from './leaf.ts';

type Node = AnyStateMachine['root'];
const nodeOf = ({ node }: Leaf): Node => node as Node;

/** Tables of one machine. */
export interface Statechart {
  readonly machine: AnyStateMachine;
  /** What the first transition does, and where it leads. */
  readonly first: Edge;
}

/** Tables by machine: a pure function of it, made once, since thousands of actors run the same. */
const known = new WeakMap<AnyStateMachine, Statechart>();

/**
 * Turns a machine into tables: for every leaf and type of event what is done and where it leads, so that a transition is a look-up.
 *
 * xstate recomputes exits, entries and candidates in every transition, which was a quarter of a simulation's time. Its rules are kept to
 * the letter (SCXML), and a test holds both against each other.
 *
 * @throws {InvariantError} for what our machines do not have: parallel, final and history states, invoked actors, wildcards, guards made
 * of guards, actions other than named ones, `assign`, `raise` and delays
 */
export function statechartOf(machine: AnyStateMachine): Statechart {
  const found = known.get(machine);
  if (found !== undefined) return found;
  const chart = new Compiler(machine).chart();
  known.set(machine, chart);
  return chart;
}

const unsupported = (machine: AnyStateMachine, what: string): InvariantError =>
  new InvariantError(`the machine '${machine.id}' has ${what}; actors run plain statecharts`);

/** Ancestors of a node, the nearest first, up to `end` exclusive. */
function ancestors(node: Node, end: Node | null): readonly Node[] {
  const found: Node[] = [];
  if (node === end) return found;
  for (let at = node.parent; at !== undefined && at !== end; at = at.parent) found.push(at);
  return found;
}

const isBelow = (node: Node, ancestor: Node): boolean => ancestors(node, null).includes(ancestor);

/** A node and the states that entering it enters, down to a leaf. */
function descent(node: Node): readonly Node[] {
  const [first] = node.type === 'compound' ? node.initial.target : [];
  return first === undefined ? [node] : [node, ...descent(first)];
}

type Transition = Node['transitions'] extends Map<string, (infer T)[]> ? T : never;

class Compiler {
  readonly #machine: AnyStateMachine;
  readonly #leaves = new Map<Node, Leaf>();

  constructor(machine: AnyStateMachine) {
    this.#machine = machine;
  }

  chart(): Statechart {
    const { root } = this.#machine;
    this.#visit(root, '');
    for (const leaf of this.#leaves.values()) this.#connect(leaf);
    for (const leaf of this.#leaves.values()) this.#checkKinds(leaf);
    const entered = descent(root);
    const first: Edge = {
      guard: null,
      guardParams: undefined,
      isForbidden: false,
      operations: entered.flatMap((node) => this.#entering(node)),
      target: this.#leaf(entered.at(-1) ?? root),
    };
    return { machine: this.#machine, first };
  }

  /** An action that says on which kinds of events it is due is due on no other, in any state and behind any eventless transition. */
  #checkKinds(leaf: Leaf): void {
    for (const [type, edges] of leaf.edges) {
      const seen = new Set<Edge>();
      const follow = (edge: Edge): void => {
        if (seen.has(edge)) return;
        seen.add(edge);
        for (const operation of edge.operations) this.#checkKind(operation, type);
        edge.target.always.forEach(follow);
      };
      edges.forEach(follow);
    }
  }

  #checkKind({ kind, type: name }: Operation, type: string): void {
    if (kind !== 'effect') return;
    const { kinds = null } = (this.#machine.implementations.actions[name] ?? {}) as Partial<Action>;
    if (kinds !== null && !kinds.includes(type))
      throw unsupported(
        this.#machine,
        `the action ${name}, which is due on ${kinds.join(' or ')}, on a transition of ${type}`,
      );
  }

  #leaf(node: Node): Leaf {
    const leaf = this.#leaves.get(node);
    if (leaf === undefined) throw unsupported(this.#machine, `no state ${node.id}`);
    return leaf;
  }

  #visit(node: Node, name: string): void {
    if (node.type !== 'atomic' && node.type !== 'compound')
      throw unsupported(this.#machine, `the ${node.type} state ${node.id}`);
    if (node.invoke.length > 0) throw unsupported(this.#machine, `actors invoked in ${node.id}`);
    if (node.type === 'atomic') this.#leaves.set(node, new Leaf(name, node));
    for (const [key, child] of Object.entries(node.states))
      this.#visit(child, name === '' ? key : `${name}.${key}`);
  }

  #connect(leaf: Leaf): void {
    const chain = [nodeOf(leaf), ...ancestors(nodeOf(leaf), null)];
    for (const node of chain)
      for (const [type, transitions] of node.transitions) {
        if (type.includes('*')) throw unsupported(this.#machine, `the wildcard ${type}`);
        const edges = transitions.map((each) => this.#edge(leaf, each));
        leaf.edges.set(type, [...(leaf.edges.get(type) ?? []), ...edges]);
      }
    leaf.always = chain.flatMap((node) => (node.always ?? []).map((each) => this.#edge(leaf, each)));
  }

  #edge(leaf: Leaf, transition: Transition): Edge {
    const actions = transition.actions.map((action) => this.#operation(action));
    const [target] = transition.target ?? [];
    const guard = this.#guard(transition.guard);
    const isForbidden = transition.target === undefined && actions.length === 0;
    if (target === undefined) return { ...guard, isForbidden, operations: actions, target: leaf };
    if ((transition.target?.length ?? 0) > 1)
      throw unsupported(this.#machine, 'a transition with two targets');
    const { source, reenter } = transition;
    const isInside = !reenter && (target === source || isBelow(target, source));
    const shared = ancestors(target, null).find((each) => isBelow(source, each));
    const domain = isInside ? source : (shared ?? (reenter ? null : this.#machine.root));
    const left = [nodeOf(leaf), ...ancestors(nodeOf(leaf), null)].filter(
      (node) => domain === null || isBelow(node, domain),
    );
    const above = ancestors(target, domain).toReversed();
    const [own, ...below] = descent(target);
    // A state that leads to itself from within is not entered again, only those below it.
    const entered = [...above, ...(own === undefined || own === domain ? [] : [own]), ...below];
    return {
      ...guard,
      isForbidden,
      operations: [
        ...left.flatMap((node) => node.exit.map((action) => this.#operation(action))),
        ...actions,
        ...entered.flatMap((node) => this.#entering(node)),
      ],
      target: this.#leaf(below.at(-1) ?? target),
    };
  }

  #entering(node: Node): readonly Operation[] {
    const first = node.type === 'compound' ? node.initial.actions : [];
    if (first.length > 0) throw unsupported(this.#machine, `actions of the initial transition of ${node.id}`);
    return node.entry.map((action) => this.#operation(action));
  }

  #guard(guard: unknown): Pick<Edge, 'guard' | 'guardParams'> {
    if (guard === undefined) return { guard: null, guardParams: undefined };
    const { name, params } = named(guard);
    const found: unknown = typeof guard === 'function' ? guard : this.#machine.implementations.guards[name];
    if (typeof found !== 'function' || 'check' in found)
      throw unsupported(this.#machine, `no plain guard '${name}'`);
    return { guard: found as Computed, guardParams: params };
  }

  #operation(action: unknown): Operation {
    const { name, params } = named(action);
    const found: unknown =
      typeof action === 'function' ? action : this.#machine.implementations.actions[name];
    const blank = { params, assignment: [], id: '', raised: undefined, delay: undefined };
    if (typeof found !== 'function' || !('resolve' in found)) return { ...blank, kind: 'effect', type: name };
    const built = found as unknown as Readonly<Record<string, unknown>>;
    const type = String(built['type']);
    if (type === 'xstate.assign') {
      const { assignment } = built;
      const fields =
        typeof assignment === 'function'
          ? assignment
          : Object.entries(assignment as object).map(([key, value]) => ({ key, value: value as unknown }));
      return { ...blank, kind: 'assign', type, assignment: fields as Operation['assignment'] };
    }
    if (type === 'xstate.raise') {
      const { delay } = built;
      const { delays } = this.#machine.implementations;
      const after = typeof delay === 'string' ? delays[delay] : delay;
      return { ...blank, kind: 'raise', type, id: String(built['id']), raised: built['event'], delay: after };
    }
    if (type === 'xstate.cancel') return { ...blank, kind: 'cancel', type, id: String(built['sendId']) };
    throw unsupported(this.#machine, `the action ${type}`);
  }
}

/** Name and parameters of a guard or action as it is written. */
function named(written: unknown): { readonly name: string; readonly params: unknown } {
  if (typeof written === 'string') return { name: written, params: undefined };
  if (typeof written === 'function') return { name: written.name, params: undefined };
  const { type, params } = written as { readonly type: string; readonly params?: unknown };
  return { name: type, params };
}

/** A value, or what its function makes of context and event. */
export const valueOf = (written: unknown, scope: Scope, params?: unknown): unknown =>
  typeof written === 'function' ? (written as Computed)(scope, params) : written;
