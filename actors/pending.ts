/**
 * Those who have not answered yet: a set that is never changed, of which a copy without one costs the square root of its size.
 *
 * Every answer to the trainer leaves a new context. Copying a set of all shards for each was quadratic in their number; here they lie in
 * groups, and only the group of who answered is copied, and the list of groups.
 */
export class Pending<T> {
  readonly size: number;
  readonly #groups: readonly ReadonlySet<T>[];
  /** Where each lies, shared by all copies. */
  readonly #places: ReadonlyMap<T, number>;

  private constructor(groups: readonly ReadonlySet<T>[], places: ReadonlyMap<T, number>, size: number) {
    this.#groups = groups;
    this.#places = places;
    this.size = size;
  }

  static of<T>(values: Iterable<T>): Pending<T> {
    const all = [...new Set(values)];
    const groupSize = Math.max(1, Math.ceil(Math.sqrt(all.length)));
    const groups: Set<T>[] = [];
    for (let from = 0; from < all.length; from += groupSize)
      groups.push(new Set(all.slice(from, from + groupSize)));
    const places = new Map(all.map((value, index) => [value, Math.floor(index / groupSize)]));
    return new Pending(groups, places, all.length);
  }

  has(value: T): boolean {
    return this.#groups[this.#places.get(value) ?? -1]?.has(value) === true;
  }

  /** The same without one; itself when that is not in it. */
  without(value: T): Pending<T> {
    if (!this.has(value)) return this;
    const place = this.#places.get(value);
    const groups = this.#groups.map((group, index) => {
      if (index !== place) return group;
      const rest = new Set(group);
      rest.delete(value);
      return rest;
    });
    return new Pending(groups, this.#places, this.size - 1);
  }

  /** In the order in which they were given. */
  *[Symbol.iterator](): Generator<T> {
    for (const group of this.#groups) yield* group;
  }
}
