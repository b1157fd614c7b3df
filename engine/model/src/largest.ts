import type { HostFloats } from '@troupe/core';

/** Ids of the `count` largest logits by falling logit, ties to the lower id; all of them where there are no more. */
export function largest(logits_V: HostFloats, count: number): number[] {
  const ids: number[] = [];
  const valueOf = (id: number | undefined): number => logits_V[id ?? 0] ?? 0;
  for (let id = 0, least = Number.NEGATIVE_INFINITY; id < logits_V.length; id++) {
    const logit = valueOf(id);
    if (ids.length >= count && logit <= least) continue;
    let place = ids.length;
    while (place > 0 && valueOf(ids[place - 1]) < logit) place--;
    ids.splice(place, 0, id);
    if (ids.length > count) ids.pop();
    least = valueOf(ids.at(-1));
  }
  return ids;
}
