import type { Checker, TurnSeen } from './checker.ts';

/** A part of the buffer of a group whose gradients lie in a bucket. */
interface Segment {
  readonly from: number;
  readonly to: number;
}

/** Whose buckets a courier lends. */
export interface CreditedGroup {
  readonly segments: readonly Segment[];
  /** Buckets of one length that it has at most. */
  readonly rooms: number;
}

/** A bucket of a courier from the word that there is room until all of its parts are back. */
interface Lent {
  readonly length: number;
  /** Parts that are back, by where they begin, and their elements. */
  readonly back: Set<number>;
  elements: number;
}

const bucketOf = (segment: number, { step, microbatch }: TurnSeen): string =>
  `${segment}/${step}/${microbatch}`;

/** A courier lends as many buckets of a length at a time as a plan counts, however far ahead those are who compute. */
export const bucketsCredited = (groups: ReadonlyMap<string, CreditedGroup>): Checker => {
  /** By courier. */
  const lent = new Map<string, Map<string, Lent>>();
  /** Wants of room that are not answered. */
  const wanted = new Set<string>();
  let attempt = 0;
  const lentBy = (courier: string): Map<string, Lent> => {
    const known = lent.get(courier) ?? new Map<string, Lent>();
    lent.set(courier, known);
    return known;
  };
  const lend = (courier: string, { segments, rooms }: CreditedGroup, seen: TurnSeen): string | null => {
    const index = Number(seen.body['segment']);
    const key = bucketOf(index, seen);
    if (!wanted.delete(`${courier} ${seen.address} ${key}`)) return null;
    const [segment, open] = [segments[index], lentBy(courier)];
    if (segment === undefined || open.has(key)) return null;
    const length = segment.to - segment.from;
    open.set(key, { length, back: new Set(), elements: 0 });
    const count = [...open.values()].reduce((sum, each) => sum + Number(each.length === length), 0);
    return count <= rooms
      ? null
      : `${courier} lends ${seen.address} a bucket of ${length} elements in step ${seen.step}: number ${count} of that length at a time, of ${rooms}`;
  };
  const takeBack = (courier: string, { segments }: CreditedGroup, seen: TurnSeen): void => {
    const [from, to] = [Number(seen.body['from']), Number(seen.body['to'])];
    const key = bucketOf(
      segments.findIndex((each) => each.from <= from && to <= each.to),
      seen,
    );
    const open = lentBy(courier);
    const bucket = open.get(key);
    if (bucket === undefined || bucket.back.has(from)) return;
    bucket.back.add(from);
    bucket.elements += to - from;
    if (bucket.elements === bucket.length) open.delete(key);
  };
  return {
    name: 'buckets-credited',
    looksAt: ['turn'],
    kinds: ['segment.want', 'segment.ready', 'gradient.taken'],
    see: (seen) => {
      if (seen.type !== 'turn' || seen.outcome !== 'handled' || seen.attempt < attempt) return null;
      if (seen.attempt > attempt) {
        attempt = seen.attempt;
        lent.clear();
        wanted.clear();
      }
      const { address, from, kind, body } = seen;
      const courier = kind === 'segment.ready' ? from : address;
      const group = groups.get(courier);
      if (group === undefined) return null;
      if (kind === 'segment.ready') return lend(courier, group, seen);
      if (kind === 'gradient.taken') takeBack(courier, group, seen);
      else if (body['gradients'] === true)
        wanted.add(`${courier} ${from} ${bucketOf(Number(body['segment']), seen)}`);
      return null;
    },
  };
};
