import { moeLayers } from '@troupe/spec';
import type { Layout, WorkerRank } from '@troupe/topology/layout';

/**
 * What of a step's sums the measure of one stage adds.
 *
 * TRN-1: every replica's share of the loss and of each layer's statistics is added once: of the last stage, of the stage that has the
 * layer, and of the first of its tensor peers, which all measure the same.
 */
export interface Share {
  /** Where the stage's MoE layers stand among those of the model. */
  readonly layers: readonly number[];
  readonly hasLoss: boolean;
  /** The first of its tensor peers: the others answer, and add nothing. */
  readonly counts: boolean;
  /** Which peers it is one of. */
  readonly peers: string;
}

/** One object for all workers of a stage; with tensor peers one a replica. */
export function shares(layout: Layout): (worker: WorkerRank) => Share {
  const position = new Map(moeLayers(layout.model).map((layer, index) => [layer, index]));
  const known = new Map<string, Share>();
  return (worker) => {
    const { pp, dp, tp } = layout.at(worker);
    const counts = tp === 0;
    const peers = `pp${pp}/dp${dp}`;
    const key = layout.mesh.tp > 1 ? `${peers}/${counts}` : `${pp}`;
    const share = known.get(key) ?? {
      layers: layout.moeLayersOf(pp).map((layer) => position.get(layer) ?? 0),
      hasLoss: layout.stagePlan(pp).hasHead,
      counts,
      peers,
    };
    known.set(key, share);
    return share;
  };
}
