import { assert } from '@troupe/core';
import { workerRank, type WorkerRank } from './rank.ts';

/** Workers with consecutive ranks on one host. */
export interface HostRun {
  readonly host: string;
  readonly first: number;
  readonly count: number;
}

/** The same, and where it stands in the ring. */
interface PlacedRun extends HostRun {
  readonly at: number;
}

/** The last of rising runs that begins at a value or before it. */
function lastUpTo(runs: readonly PlacedRun[], key: 'at' | 'first', value: number): PlacedRun {
  let [low, high] = [0, runs.length];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if ((runs[middle]?.[key] ?? Infinity) <= value) low = middle;
    else high = middle;
  }
  const run = runs[low];
  assert(run !== undefined && value < run[key] + run.count, 'every worker has a host', { value });
  return run;
}

/**
 * Which worker keeps a copy of what another one alone has: one of another host wherever there is one, and everybody as few as can be.
 *
 * Workers stand in a ring, host by host. The buddy is half a ring further on: no host is longer than that, so it is on another one, all
 * have one ward, and since stages lie side by side the much of one meets the little of another. Where one host has more than half of all
 * workers, the others keep its copies in turn, and have theirs on it.
 */
export class Buddies {
  readonly #byRank: readonly PlacedRun[];
  readonly #byPlace: readonly PlacedRun[];
  readonly #count: number;
  /** The host with more than half of all workers, and their number; 0: there is none, or all are on one. */
  readonly #large: number;

  /** @param runs - in the order of ranks, without gaps */
  constructor(runs: readonly HostRun[]) {
    const sizes = new Map<string, number>();
    for (const { host, count } of runs) sizes.set(host, (sizes.get(host) ?? 0) + count);
    this.#count = runs.reduce((sum, { count }) => sum + count, 0);
    const hosts = [...sizes].toSorted(([, a], [, b]) => b - a).map(([host]) => host);
    const most = sizes.get(hosts[0] ?? '') ?? 0;
    this.#large = hosts.length > 1 && 2 * most > this.#count ? most : 0;
    // The largest host comes first; the others keep the order of their ranks.
    const first = hosts[0] ?? '';
    const order =
      this.#large > 0 ? [first, ...[...sizes.keys()].filter((host) => host !== first)] : [...sizes.keys()];
    let at = 0;
    this.#byPlace = order.flatMap((host) =>
      runs.flatMap((run) => {
        if (run.host !== host) return [];
        const placed = { ...run, at };
        at += run.count;
        return [placed];
      }),
    );
    this.#byRank = this.#byPlace.toSorted((a, b) => a.first - b.first);
  }

  /** Null: there is nobody else. */
  of(worker: WorkerRank): WorkerRank | null {
    if (this.#count < 2) return null;
    const [at, large, rest] = [this.#placeOf(worker), this.#large, this.#count - this.#large];
    if (large === 0) return this.#at((at + Math.floor(this.#count / 2)) % this.#count);
    return this.#at(at < large ? large + (at % rest) : Math.floor(((at - large) * large) / rest));
  }

  /** The workers whose buddy this one is. */
  wardsOf(worker: WorkerRank): readonly WorkerRank[] {
    if (this.#count < 2) return [];
    const [at, large, rest] = [this.#placeOf(worker), this.#large, this.#count - this.#large];
    if (large === 0) return [this.#at((at + Math.ceil(this.#count / 2)) % this.#count)];
    if (at < large) {
      const ward = Math.ceil((at * rest) / large);
      return ward < rest && Math.floor((ward * large) / rest) === at ? [this.#at(large + ward)] : [];
    }
    const wards: WorkerRank[] = [];
    for (let ward = at - large; ward < large; ward += rest) wards.push(this.#at(ward));
    return wards;
  }

  #placeOf(worker: WorkerRank): number {
    const { at, first } = lastUpTo(this.#byRank, 'first', worker);
    return at + worker - first;
  }

  #at(place: number): WorkerRank {
    const { at, first } = lastUpTo(this.#byPlace, 'at', place);
    return workerRank(first + place - at);
  }
}
