import { moeLayers } from '@troupe/spec';
import type { Layout, WorkerRank } from '@troupe/topology/layout';
import type { Crew } from './crew.ts';

/**
 * What of a step's sums the measure of one stage adds.
 *
 * TRN-1: every replica's share of the loss and of each layer's statistics is added once: of the last stage, of the stage that has the
 * layer, and of the first of its tensor peers, which all measure the same.
 */
export interface Share {
  /** Where the stage's MoE layers stand among those that are summed up. */
  readonly layers: readonly number[];
  readonly hasLoss: boolean;
  /** The first of its tensor peers: the others answer, and add nothing. */
  readonly counts: boolean;
  /** Which peers it is one of. */
  readonly peers: string;
}

/** Which tensor peers a stage is one of. */
const peersOf = (layout: Layout, worker: WorkerRank): string => {
  const { pp, dp } = layout.at(worker);
  return `pp${pp}/dp${dp}`;
};

/** Rows of tensor peers with a stage on a machine, in the order of its stages; none where no stage has peers. */
export const peerRows = (layout: Layout, { stages }: Crew): readonly string[] =>
  layout.mesh.tp === 1 ? [] : [...new Set(stages.map(({ worker }) => peersOf(layout, worker)))];

/**
 * One object for all workers of a stage; with tensor peers one a replica.
 *
 * @param among - the layers that the sums are of; default: all of the model with experts
 */
export function shares(
  layout: Layout,
  among: readonly number[] = moeLayers(layout.model),
): (worker: WorkerRank) => Share {
  const position = new Map(among.map((layer, index) => [layer, index]));
  const known = new Map<string, Share>();
  return (worker) => {
    const { pp, tp } = layout.at(worker);
    const counts = tp === 0;
    const peers = peersOf(layout, worker);
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

/** The layers with experts of all stages of a machine together, in order. */
export const layersOfCrew = (layout: Layout, { stages }: Crew): readonly number[] =>
  [...new Set(stages.flatMap(({ worker }) => layout.moeLayersOf(layout.at(worker).pp)))].toSorted(
    (a, b) => a - b,
  );
