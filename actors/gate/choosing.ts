import { assert, type Address } from '@troupe/core';
import type { ChoiceSource } from '@troupe/kernel-set';
import { candidatesOf, decide, gateLogits, gateRest, nominate, thresholdsOf } from '@troupe/model';
import type { ChoiceGroupShare, ChoicePeer } from '@troupe/topology/layout';
import type { GateEvent, GateSelf } from './events.ts';
import type { GateContext, GateEffects } from './machine.ts';
import type { GateState } from './state.ts';

type ChoosingEffects = Pick<
  GateEffects,
  | 'nominate'
  | 'sendCandidates'
  | 'takeUpChoices'
  | 'setAsideChoices'
  | 'acceptCandidates'
  | 'decide'
  | 'sendThresholds'
  | 'acceptThresholds'
  | 'routeChosen'
>;

/** Candidates of another replica at the positions that this one decides. */
interface Candidates {
  readonly keys: BigInt64Array;
  readonly numValid: Int32Array;
}

const keyOf = ({ type, from, step, attempt, microbatch, body }: GateEvent): string =>
  [type, from, step, attempt, microbatch, 'mode' in body ? body.mode : ''].join(' ');

const decidesAny = ({ decides }: Pick<ChoiceGroupShare, 'decides'>): boolean => decides.to > decides.from;

/** Parts of the same kind, one behind the other. */
function joined<A extends BigInt64Array | Int32Array>(make: (length: number) => A, parts: readonly A[]): A {
  const all = make(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part as never, at);
    at += part.length;
  }
  return all;
}

/** The round of choice groups that have sequences of several replicas: candidates to those who decide, thresholds back. */
export class Choosing {
  readonly effects: ChoosingEffects;
  readonly #self: GateSelf;
  readonly #state: GateState;
  readonly #shares: readonly ChoiceGroupShare[];
  #aside: GateEvent[] = [];
  readonly #candidates = new Map<Address, Candidates>();
  /** What has been accepted in the pass at hand. */
  readonly #arrived = new Set<string>();

  constructor(self: GateSelf, state: GateState) {
    this.#self = self;
    this.#state = state;
    this.#shares = state.choiceShares;
    this.effects = {
      nominate: (_event, context) => this.#nominate(context),
      sendCandidates: (_event, context) => this.#sendCandidates(context),
      takeUpChoices: () => {
        for (const event of this.#aside.splice(0)) self.takeUp(event);
      },
      setAsideChoices: (event) => {
        this.#mustBeFirst(event);
        this.#aside.push(event);
      },
      acceptCandidates: (event) => {
        this.#arrive(event);
        this.#candidates.set(event.from, event.tensors);
      },
      decide: (_event, context) => this.#decide(context),
      sendThresholds: (_event, context) => this.#sendThresholds(context),
      acceptThresholds: (event, context) => {
        this.#arrive(event);
        this.#acceptThresholds(event.from, event.tensors.thresholds_QE, context);
      },
      routeChosen: (_event, context) => this.#route(context),
    };
  }

  /** Leaves an attempt: what came for `attempt` already stays. */
  abandon(attempt: number): void {
    this.#aside = this.#aside.filter((event) => event.attempt >= attempt);
    this.#candidates.clear();
    this.#arrived.clear();
    this.#self.endWait('choices');
  }

  /** Who sends twice would be counted for one who has not sent. */
  #mustBeFirst(event: GateEvent): void {
    const isSame = (other: GateEvent): boolean => keyOf(other) === keyOf(event);
    assert(!this.#arrived.has(keyOf(event)) && !this.#aside.some(isSame), 'the place of an arrival is free', {
      kind: event.type,
      from: event.from,
      microbatch: event.microbatch,
    });
  }

  #arrive(event: GateEvent): void {
    this.#mustBeFirst(event);
    this.#arrived.add(keyOf(event));
    this.#self.answered('choices', event.from);
  }

  #nominate(context: GateContext): void {
    this.#arrived.clear();
    const { context: ctx, batch } = this.#state.streamOf(context);
    const { worker, layer, firstSequence } = this.#state;
    const calls = [...gateLogits(ctx, layer), ...nominate(ctx, layer, batch, firstSequence)];
    this.#self.submit(worker.device, calls, 'candidates.computed', this.#state.place(context));
  }

  #sendCandidates(context: GateContext): void {
    const { device } = this.#state.worker;
    const ctx = this.#state.streamOf(context).context;
    const awaited: Address[] = [];
    for (const share of this.#shares)
      for (const peer of share.peers) {
        if (decidesAny(share)) awaited.push(this.#state.peerGate(peer.rank));
        if (!decidesAny(peer)) continue;
        const parts = partsOf(share).map((part) => candidatesOf(ctx, part, peer.decides));
        // Copies: the next layer's candidates lie in the same memory.
        const keys = joined(
          (length) => new BigInt64Array(length),
          parts.map((each) => device.read(each.keys)),
        );
        const numValid = joined(
          (length) => new Int32Array(length),
          parts.map((each) => device.read(each.numValid)),
        );
        this.#self.tell(this.#state.peerGate(peer.rank), 'choice.candidates', {
          ...this.#state.place(context),
          tensors: { keys, numValid },
          body: { mode: context.mode },
        });
      }
    if (awaited.length > 0) this.#wait(context, awaited, 'candidates of its choice groups');
  }

  #decide(context: GateContext): void {
    this.#self.endWait('choices');
    const { worker, layer } = this.#state;
    const ctx = this.#state.streamOf(context).context;
    const calls = this.#shares.filter(decidesAny).map((share) => {
      const positions = share.decides.to - share.decides.from;
      const own = partsOf(share).map((part) => candidatesOf(ctx, part, share.decides));
      const others = share.peers.flatMap((peer) => this.#sourcesOf(peer, positions));
      const [first = 0] = partsOf(share);
      return decide(ctx, layer, positions, [...own, ...others], thresholdsOf(ctx, first, share.decides));
    });
    this.#self.submit(worker.device, calls, 'thresholds.decided', this.#state.place(context));
  }

  /** The parts of another replica, each as the kernel takes it. */
  #sourcesOf({ rank }: ChoicePeer, positions: number): readonly ChoiceSource[] {
    const { device } = this.#state.worker;
    const found = this.#candidates.get(this.#state.peerGate(rank));
    assert(found, 'every replica of a group has sent its candidates', { rank });
    const parts = found.numValid.length / positions;
    const keys = device.upload(found.keys);
    const numValid = device.upload(found.numValid);
    const each = found.keys.length / parts;
    return Array.from({ length: parts }, (_, part) => ({
      keys: keys.subarray(part * each, (part + 1) * each),
      numValid: numValid.subarray(part * positions, (part + 1) * positions),
    }));
  }

  #sendThresholds(context: GateContext): void {
    this.#candidates.clear();
    const { device } = this.#state.worker;
    const ctx = this.#state.streamOf(context).context;
    const awaited: Address[] = [];
    for (const share of this.#shares) {
      for (const peer of share.peers) if (decidesAny(peer)) awaited.push(this.#state.peerGate(peer.rank));
      if (!decidesAny(share)) continue;
      const [first = 0, ...rest] = partsOf(share);
      const decided = device.read(thresholdsOf(ctx, first, share.decides)).slice();
      for (const part of rest) device.write(thresholdsOf(ctx, part, share.decides), decided);
      for (const { rank } of share.peers)
        this.#self.tell(this.#state.peerGate(rank), 'choice.thresholds', {
          ...this.#state.place(context),
          tensors: { thresholds_QE: decided },
          body: { mode: context.mode },
        });
    }
    if (awaited.length > 0) this.#wait(context, awaited, 'thresholds of its choice groups');
  }

  #acceptThresholds(from: Address, thresholds_QE: BigInt64Array, context: GateContext): void {
    const { device } = this.#state.worker;
    const ctx = this.#state.streamOf(context).context;
    for (const share of this.#shares) {
      const peer = share.peers.find(({ rank }) => this.#state.peerGate(rank) === from);
      if (peer === undefined) continue;
      for (const part of partsOf(share)) device.write(thresholdsOf(ctx, part, peer.decides), thresholds_QE);
    }
  }

  #route(context: GateContext): void {
    this.#self.endWait('choices');
    const { worker, layer, firstSequence, destinations } = this.#state;
    const { context: ctx, batch } = this.#state.streamOf(context);
    const calls = gateRest(ctx, layer, batch, { ranks: destinations.length, firstSequence });
    this.#self.submit(worker.device, calls, 'routing.planned', this.#state.place(context));
  }

  #wait({ step, microbatch }: GateContext, awaited: readonly Address[], reason: string): void {
    const { worker, layer } = this.#state;
    const { stepMs } = worker.job.deadlines;
    this.#self.wait({ name: 'choices', awaited, reason, step, layer, microbatch, deadlineMs: stepMs });
  }
}

const partsOf = ({ parts: { from, to } }: ChoiceGroupShare): readonly number[] =>
  Array.from({ length: to - from }, (_, index) => from + index);

/** Messages that a gate waits for in a pass. */
export const choiceAnswers = (
  shares: readonly ChoiceGroupShare[],
): { readonly numCandidates: number; readonly numThresholds: number } => ({
  numCandidates: shares.filter(decidesAny).reduce((sum, { peers }) => sum + peers.length, 0),
  numThresholds: shares.reduce((sum, { peers }) => sum + peers.filter(decidesAny).length, 0),
});
