import { assert } from '@troupe/core';
import { hasName } from './endpoints.ts';
import type { Endpoints, Place } from './hello.ts';

const samePlace = (a: Place, b: Place): boolean =>
  a.control === b.control && a.data === b.data && a.family === b.family;

export const isAmong = (places: readonly Place[], place: Place): boolean =>
  places.some((each) => samePlace(each, place));

/** All places of a node, the first to try in front, each once. A name may have an IPv6 address too, which is tried last. */
export function placesOf(...known: readonly (Endpoints | undefined)[]): readonly Place[] {
  const places: Place[] = [];
  for (const endpoints of known) {
    if (endpoints === undefined) continue;
    const { control, data, others = [] } = endpoints;
    for (const place of [{ control, data }, ...others]) if (!isAmong(places, place)) places.push(place);
  }
  const named = places.filter(({ control }) => hasName(control));
  return [...places, ...named.map((place): Place => ({ ...place, family: 6 }))];
}

/** What became of the last try at a place. */
interface Try {
  readonly problem: string;
  /** Somebody was there who will not talk to this node, or whom it must not talk to. */
  readonly isRefusal: boolean;
  /** In the middle of the handshake, without a reason. */
  readonly isBrokenOff: boolean;
}

/** The places at which one peer may be, tried in turn; the one that worked last is tried first again. */
export class Places {
  #list: readonly Place[] = [];
  #at = 0;
  readonly #tries = new Map<string, Try>();

  get count(): number {
    return this.#list.length;
  }

  /** How often every place was tried in vain. */
  get rounds(): number {
    return this.#list.length === 0 ? 0 : Math.floor(this.#at / this.#list.length);
  }

  get current(): Place {
    const place = this.#list[this.#at % this.#list.length];
    assert(place !== undefined, 'somebody who is dialled has a place');
    return place;
  }

  has(place: Place): boolean {
    return isAmong(this.#list, place);
  }

  /** Takes the places that are known now; with `stay` it stays where it is if that is one of them, else it begins with the first. */
  know(list: readonly Place[], stay = true): void {
    const isSame = list.length === this.#list.length && list.every((place) => this.has(place));
    const at =
      this.#list.length === 0 || !stay ? 0 : list.findIndex((place) => samePlace(place, this.current));
    if (isSame && stay) return;
    this.#list = list;
    this.#at = Math.max(0, at);
    for (const control of this.#tries.keys())
      if (!list.some((place) => place.control === control)) this.#tries.delete(control);
  }

  /** Notes what became of the try at the present place. */
  note(problem: string, isRefusal = false, isBrokenOff = false): void {
    this.#tries.set(this.current.control, { problem, isRefusal, isBrokenOff });
  }

  /** Goes on to the next place, after the last to the first. */
  next(): void {
    this.#at++;
  }

  /** The peer was found here. */
  found(): void {
    this.#at %= this.#list.length;
    this.#tries.clear();
  }

  /** Where somebody broke off the handshake, and nobody knows why. */
  get brokenOff(): readonly Place[] {
    return this.#list.filter(({ control }) => this.#tries.get(control)?.isBrokenOff === true);
  }

  /** Says why. */
  explain({ control }: Place, problem: string): void {
    this.#tries.set(control, { problem, isRefusal: true, isBrokenOff: false });
  }

  /** Wherever somebody is, this node is refused. */
  get allRefuse(): boolean {
    return (
      this.#list.length > 0 && this.#list.every(({ control }) => this.#tries.get(control)?.isRefusal === true)
    );
  }

  /** `tcp://a:1 (nobody listens there), tcp://b:1 (…)`. */
  describe(): string {
    return this.#list
      .map(({ control }) => `${control} (${this.#tries.get(control)?.problem ?? 'no answer'})`)
      .join(', ');
  }
}
