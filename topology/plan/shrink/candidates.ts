import { divisors } from '../../nearest.ts';
import type { ResolvedTopology } from '../../resolved.ts';
import { mixtureOf, mostRuns, tensorSizes, type Axes, type Mixture } from '../search/mixture.ts';

/** Tensor sizes that keep every number: those that divide the segments of its sums, and else the one that there is. */
const keepingSizes = (topology: ResolvedTopology): readonly number[] =>
  tensorSizes(topology).filter(
    (tp) =>
      tp === topology.parallel.tp ||
      (topology.train.tensorSegments > 1 && topology.train.tensorSegments % tp === 0),
  );

/**
 * Meshes on which a run could go on with so many devices, some of which may idle: of every pp, tp and ep that with the largest dp. A smaller dp
 * leaves more to compute, and to hold, to every device.
 */
export function* shrunkAxes(topology: ResolvedTopology, devices: number): Generator<Axes> {
  const { model, train, parallel } = topology;
  const isByHand = typeof parallel.experts !== 'string';
  const groups = isByHand ? [parallel.ep] : divisors(model.moe?.experts ?? 1);
  const replicas = divisors(train.grains);
  for (const tp of keepingSizes(topology))
    for (let pp = 1; pp <= Math.min(mostRuns(model), Math.floor(devices / tp)); pp++)
      for (const ep of groups) {
        const dp = replicas.findLast((each) => each % ep === 0 && each * pp * tp <= devices);
        if (dp !== undefined) yield { pp, dp, tp, ep };
      }
}

/** Sizes of a microbatch that are tried for each mesh. */
const SIZES_TRIED = 3;

/** Grains that a microbatch may have: no more than now, so that what a pass holds does not grow; the largest ones that divide the rest. */
const grainsTried = ({ train, parallel }: ResolvedTopology, dp: number): readonly number[] =>
  divisors(train.grains / dp)
    .filter((grains) => grains <= train.grains / parallel.dp / train.microbatches)
    .slice(-SIZES_TRIED);

/**
 * Whether a mixture is the one that runs but for its axes and microbatches: what else divides it stays where it can, and the plain order of a
 * pipeline is there for those that cannot have another.
 */
export function keepsMixture(topology: ResolvedTopology): (mixture: Mixture) => boolean {
  const before = mixtureOf(topology);
  return ({ dp, tp, zero, offload, recompute, pipeline, chunks, microbatches }) =>
    offload === before.offload &&
    recompute === before.recompute &&
    (zero === before.zero || dp * tp === 1) &&
    ((pipeline === before.pipeline && chunks === before.chunks) || ['1f1b', 'gpipe'].includes(pipeline)) &&
    grainsTried(topology, dp).includes(topology.train.grains / dp / microbatches);
}
