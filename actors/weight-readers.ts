import type { Address } from '@troupe/core';
import type { ElementRange } from '@troupe/spec';
import type { Layout, ShardPlace } from '@troupe/topology/layout';
import { intersect } from './range.ts';

/** Who on a worker reads a range of the weights of a group: the stage, or the experts layer by layer. */
export function readersOf(
  layout: Layout,
  { group, worker }: ShardPlace,
  whole: ElementRange,
): readonly { readonly to: Address; readonly range: ElementRange }[] {
  if (group.reader === 'stage')
    return whole.from < whole.to ? [{ to: layout.stageOf(worker), range: whole }] : [];
  return layout.layersOf(worker).flatMap((each) => {
    const own = group.rangeOfLayer(each);
    const range = own === null ? null : intersect(whole, own);
    return range === null ? [] : [{ to: layout.expertOf(each, worker), range }];
  });
}
