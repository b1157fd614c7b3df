import { assert, type Address, type HostFloats } from '@troupe/core';
import type { Floats, KernelCall } from '@troupe/kernel-set';
import { joined, type PeerExchange, type Step } from '@troupe/model';
import type { Worker } from '../worker.ts';
import type { PassEvent, PassSelf } from './events.ts';
import { messagePlace, type PassPlaceOf } from './place.ts';

/** What a pass goes on with when its steps are done. */
type Done =
  | 'attention.forwarded'
  | 'rows.joined'
  | 'head.finished'
  | 'attention.backwarded'
  | 'embedding.backwarded'
  | 'matrices.computed'
  | 'layer.again';

/** Steps that have not run to their end. */
interface Running {
  readonly place: PassPlaceOf;
  readonly done: Done;
  /** What follows reads results on the host. */
  readonly isRead: boolean;
  /** From the exchange that is under way, or that the queued list leads up to. */
  readonly rest: readonly Step[];
  readonly isShared: boolean;
}

/**
 * Runs the steps of a pass: lists of its device, and between them exchanges with the same pass of the tensor peers.
 *
 * TEN-1: an exchange is complete when the shares of all peers are here, and what is made of them takes them by tensor rank, so which came
 * first does not show. TEN-2: a share that comes early waits for its exchange, which it names.
 */
export class PeerSteps {
  readonly #self: PassSelf;
  readonly #worker: Worker;
  /** The pass on each of the peers, itself among them, by tensor rank. */
  readonly #peers: readonly { readonly at: number; readonly pass: Address }[];
  readonly #others: readonly Address[];
  readonly #arrived = new Map<string, HostFloats>();
  #running: Running | null = null;
  /** Which exchange of the pass comes next, and which pass. */
  #next = { pass: '', exchange: 0 };

  constructor(self: PassSelf, worker: Worker, slot: number) {
    const { layout } = worker.job;
    this.#self = self;
    this.#worker = worker;
    this.#peers = Array.from(layout.peersOf(worker.rank), (peer) => ({
      at: layout.at(peer).tp,
      pass: layout.passOf(peer, slot),
    }));
    this.#others = this.#peers.flatMap(({ at, pass }) => (at === worker.at.tp ? [] : [pass]));
  }

  run(steps: readonly Step[], done: Done, place: PassPlaceOf, isRead = false): void {
    assert(this.#running === null, 'a pass runs one list of steps at a time', { done });
    this.#go({ place, done, isRead, rest: joined(steps), isShared: false });
  }

  /** The list that makes a share has run. */
  share(): void {
    const running = this.#running;
    assert(running !== null && !running.isShared, 'a share is of an exchange that is due');
    const { place } = running;
    const { exchange } = this.#exchangeOf(running);
    const { device, at, job } = this.#worker;
    this.#self.wait({
      name: 'peers',
      awaited: this.#others,
      reason: 'their parts of a sum',
      step: place.step,
      layer: place.layer,
      microbatch: place.microbatch,
      deadlineMs: job.deadlines.stepMs,
    });
    exchange.shares.forEach((share, index) => {
      const body = { rank: at.tp, exchange: this.#next.exchange, share: index };
      for (const peer of this.#others)
        this.#self.tell(peer, 'peer.share', {
          ...messagePlace(place),
          body,
          tensors: { share: device.read(share) },
        });
    });
    this.#running = { ...running, isShared: true };
    this.#complete();
  }

  accept({ step, microbatch, body, tensors }: Extract<PassEvent, { readonly type: 'peer.share' }>): void {
    const key = keyOf(`${step}/${microbatch}`, body.exchange, body);
    assert(!this.#arrived.has(key), 'a peer sends a share once', { key });
    this.#arrived.set(key, tensors.share);
    if (this.#running?.isShared === true) this.#complete();
  }

  abandon(): void {
    this.#running = null;
    this.#arrived.clear();
    this.#next = { pass: '', exchange: 0 };
  }

  /** Goes on with the exchange that is under way, once all its shares are here. */
  #complete(): void {
    const running = this.#running;
    if (running === null) return;
    const { exchange } = this.#exchangeOf(running);
    const { pass, exchange: number } = this.#next;
    const { device, at } = this.#worker;
    const sharesOf: (readonly Floats[])[] = [];
    const keys: string[] = [];
    for (const { at: rank } of this.#peers) {
      if (rank === at.tp) {
        sharesOf.push(exchange.shares);
        continue;
      }
      const found = exchange.shares.map((_, share) => {
        const key = keyOf(pass, number, { rank, share });
        keys.push(key);
        return this.#arrived.get(key);
      });
      if (!found.every((share) => share !== undefined)) return;
      sharesOf.push(found.map((share) => device.upload(share)));
    }
    for (const key of keys) this.#arrived.delete(key);
    this.#self.endWait('peers');
    this.#next = { pass, exchange: number + 1 };
    const [, ...rest] = running.rest;
    const steps = joined([{ calls: exchange.next(sharesOf) }, ...rest]);
    this.#go({ ...running, rest: steps, isShared: false });
  }

  /** Queues the next list, and then either shares or is done. */
  #go(running: Running): void {
    const { place, done, isRead } = running;
    const [first, ...others] = running.rest;
    const calls: readonly KernelCall[] = first !== undefined && 'calls' in first ? first.calls : [];
    const rest = calls.length > 0 || (first !== undefined && 'calls' in first) ? others : running.rest;
    const worker = this.#worker;
    if (rest.length > 0) {
      const pass = `${place.step}/${place.microbatch}`;
      if (this.#next.pass !== pass) this.#next = { pass, exchange: 0 };
      this.#running = { ...running, rest };
      this.#self.submit(worker.device, calls, 'share.made', messagePlace(place));
      return;
    }
    this.#running = null;
    if (isRead) this.#self.submit(worker.device, calls, done, messagePlace(place));
    else worker.chain(this.#self, calls, done, messagePlace(place));
  }

  #exchangeOf({ rest: [first] }: Running): { readonly exchange: PeerExchange } {
    assert(first !== undefined && 'exchange' in first, 'steps wait for an exchange');
    return first;
  }
}

const keyOf = (
  pass: string,
  exchange: number,
  { rank, share }: { readonly rank: number; readonly share: number },
): string => `${pass}/${exchange}/${rank}/${share}`;
