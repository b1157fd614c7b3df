import { NORM_BLOCK } from '@troupe/kernel-set';
import { StageStatistics, tensorShare, type StageShape } from '@troupe/model/buffers';
import {
  denseUnits,
  expertUnit,
  isMoeLayer,
  isOperandOnly,
  keptShare,
  layerUnits,
  moeLayers,
  type Unit,
  exchangeLevels,
} from '@troupe/spec';
import { MachineRow } from '../../layout/machine-row.ts';
import { rowChunks } from '../../layout/row-chunks.ts';
import type { StagePlan } from '../../layout/stage-plan.ts';
import { program, slotsOf } from '../../pipeline.ts';
import type { ResolvedTopology } from '../../resolved.ts';
import { bytesAllocated } from '../allocations.ts';
import { BUCKET_ROOMS, WEIGHT_ROOMS } from '../../layout/segment.ts';
import { expertBytes, positionBytes } from '../stage-buffers.ts';
import { copyBytes, stateBytes, type GroupSizes } from '../states.ts';
import { defersMatrices, type Axes, type Mixture } from './mixture.ts';
import { bytesIn, passBytes, type Blocks, type Keeping, type PassBytes } from './quick-passes.ts';

/** Padded elements of units: those that tensor ranks divide (of them those that only products read), and those that all of them hold. */
interface Elements {
  readonly divided: number;
  readonly operands: number;
  readonly whole: number;
}

const padded = (size: number): number => Math.ceil(size / NORM_BLOCK) * NORM_BLOCK;

const isDivided = ({ id, parameters }: Unit): boolean =>
  !id.endsWith('/gate') && !id.endsWith('/latent') && parameters.some(({ shape }) => shape.length > 1);

/** Segments of a group that are equally long. */
interface Segments {
  readonly count: number;
  readonly length: number;
  /** Elements that only products read. */
  readonly operands: number;
}

/** Room for segments that pass through a device: at most so many of each length. */
function roomsOf(segments: readonly Segments[], most: number): number {
  const counts = new Map<number, number>();
  for (const { count, length } of segments) counts.set(length, (counts.get(length) ?? 0) + count);
  return [...counts].reduce((sum, [length, count]) => sum + length * Math.min(most, count), 0);
}

/** Answers that are asked for again and again. */
class Known<T> {
  readonly #known = new Map<string, T>();

  at(key: readonly (string | number | boolean)[], make: () => T): T {
    const name = key.join('/');
    let found = this.#known.get(name);
    if (found === undefined) {
      found = make();
      this.#known.set(name, found);
    }
    return found;
  }
}

/**
 * Memory of a mixture's fullest worker, for as many mixtures as there are: parts of a model are counted once and added up. Slices are taken
 * as even as whole blocks allow, so a worker may have up to a block a group less; {@link planMemory} has the last word.
 */
export class QuickMemory {
  readonly #topology: ResolvedTopology;
  readonly #elements = new Known<Elements>();
  readonly #passes = new Known<PassBytes>();
  readonly #slots = new Known<readonly number[]>();
  #kept: number | null = null;

  constructor(topology: ResolvedTopology) {
    this.#topology = topology;
  }

  /** Floats that the optimizer keeps, for each parameter, of the whole model: of a part of it about as many. */
  get #keptShare(): number {
    this.#kept ??= keptShare(this.#topology.model, this.#topology.train.optimizer.kind);
    return this.#kept;
  }

  #statistics(layers: number): number {
    const { model } = this.#topology;
    return bytesAllocated((device) => new StageStatistics(device, model, moeLayers(model).slice(0, layers)));
  }

  /** Bytes of the states of parameters on a worker of a stage with these blocks; of the device, and of the host. */
  states(blocks: Blocks, mixture: Mixture) {
    const { pp, dp, tp, ep, zero, offload, microbatches } = mixture;
    const { model, recovery, train, machines } = this.#topology;
    const isAlone = pp * dp * tp === 1;
    const isOffloaded = offload === 'optimizer';
    /** @param isAlike - every tensor peer computes its gradients */
    const group = (
      segments: readonly Segments[],
      holders: number,
      { calls = microbatches, isAlike = false } = {},
    ) => {
      const length = segments.reduce((sum, each) => sum + each.count * each.length, 0);
      const isShared = zero > 0 && holders > 1;
      const operands = segments.reduce((sum, each) => sum + each.count * each.operands, 0);
      const rounded = train.precision === 'bf16' ? operands : 0;
      const owned = isShared ? padded(length / holders) : length;
      const stored = holders === 1 && calls === 1 && !isOffloaded ? length : 0;
      const isCopied = recovery.buddies && (!isAlone || isOffloaded) && (zero > 0 || holders === 1);
      const sizes: GroupSizes = {
        length,
        stored,
        owned,
        ownedStored: stored,
        kept: this.#keptShare * owned,
        window: roomsOf(segments, WEIGHT_ROOMS) * (length === 0 ? 0 : 4 - (2 * rounded) / length),
        buckets: roomsOf(segments, BUCKET_ROOMS),
        levelSums: isShared ? this.#levelSums(segments, holders) : 0,
        marks: 0,
        alike: isAlike ? length : 0,
        rounded,
        ownedRounded: length === 0 ? 0 : (rounded * owned) / length,
      };
      const bytes = stateBytes(sizes, {
        isAlone,
        isOffloaded,
        // What tensor peers hold alike stays whole, whatever is sharded.
        leaves: zero >= 2 && isShared && !isAlike,
        isGathered: zero === 3 && isShared && !isAlike,
      });
      return { ...bytes, buddies: isCopied ? copyBytes(sizes) : 0 };
    };
    const parts = this.#denseParts(blocks, tp);
    const experts = ((model.moe?.experts ?? 0) / ep) * this.#expertElements(tp);
    const groups = [
      group(
        parts.map(({ count, divided, operands }) => ({ count, length: divided, operands })),
        dp,
      ),
      ...(tp === 1
        ? []
        : [
            group(
              parts.map(({ count, whole }) => ({ count, length: whole, operands: 0 })),
              dp * tp,
              { isAlike: true },
            ),
          ]),
      ...(blocks.moe === 0
        ? []
        : [
            group([{ count: blocks.moe, length: experts, operands: experts }], dp / ep, {
              calls: microbatches * this.#chunksOf(mixture),
            }),
          ]),
    ];
    const sums = { device: 0, host: 0 };
    const keepsOnHosts = isOffloaded && machines.length > 1;
    for (const { weights, gradients, master, moments, buddies, host: own } of groups) {
      const host = own + (keepsOnHosts ? buddies : 0);
      sums.device += weights + gradients + master + moments + buddies - host;
      sums.host += host;
    }
    return sums;
  }

  /** Bytes of everything else. */
  buffers(stage: number, chunks: readonly Blocks[], mixture: Mixture): number {
    const { pp, ep, pipeline, microbatches } = mixture;
    const shape = this.#shapeOf(mixture);
    const keeping = { recomputes: mixture.recompute === 'layer', defers: defersMatrices(mixture) };
    const training = this.#passBytes(shape, mixture, keeping);
    const evaluation = this.#topology.data.holdout > 0 ? this.#passBytes(shape, mixture, null) : null;
    const slotsIn = (kind: Mixture['pipeline']): readonly number[] =>
      this.#slots.at([kind, pp, stage, microbatches, chunks.length, ep], () => {
        const of = { kind, stages: pp, stage, microbatches, chunks: chunks.length };
        return slotsOf(program(of), chunks.length, ep > 1 && microbatches > 1 ? 2 : 1).counts;
      });
    const slots = slotsIn(pipeline);
    // Where nothing waits, passes end at experts with their backward half.
    const atExperts = pipeline === 'zero-bubble' && !keeping.defers ? slotsIn('1f1b') : slots;
    const parallel = { ...this.#topology.parallel, ep };
    const experts = expertBytes({ ...this.#topology, parallel }, shape, {
      ...keeping,
      layer: this.#topology.model.layers - 1,
      chunks: this.#chunksOf(mixture),
    });
    const one = (chunk: Blocks, index: number): number =>
      (slots[index] ?? 0) * bytesIn(training, chunk) +
      (atExperts[index] ?? 0) * chunk.moe * experts +
      (evaluation === null ? 0 : bytesIn(evaluation, chunk));
    const blocks = together(chunks);
    const fixed = positionBytes(this.#topology.model) + 2 * this.#statistics(blocks.moe);
    return chunks.reduce((sum, chunk, index) => sum + one(chunk, index), fixed + training.gradients);
  }

  /** Sums of an exchange's groups are of a part of every segment, a smaller one at each level. */
  #levelSums(segments: readonly Segments[], holders: number): number {
    const { wire, machines } = this.#topology;
    const perMachine = new MachineRow(machines).neighbours;
    const levels = exchangeLevels(holders, { perMachine, fanout: wire.fanout });
    const [rooms, share] = [roomsOf(segments, BUCKET_ROOMS), (stride: number) => 1 / stride];
    return levels.slice(1).reduce((sum, { stride }) => sum + rooms * share(stride), 0);
  }

  #shapeOf({ dp, tp, microbatches }: Mixture): StageShape {
    const { model, train, parallel, wire } = this.#topology;
    const parts = dp * microbatches;
    const axis = { tp, segments: train.tensorSegments, expertsSliced: parallel.expertsSliced };
    return {
      config: model,
      sequences: train.batch / parts,
      grains: train.grains / parts,
      precision: train.precision === 'bf16' ? 'bf16' : 'f32',
      rowFormat: wire.dtype,
      // The last one has the longest run of grains.
      tensor: tensorShare(axis, tp - 1),
    };
  }

  /** In which rows go to experts. */
  #chunksOf(mixture: Mixture): number {
    const { sequences, grains } = this.#shapeOf(mixture);
    const { model, wire, parallel } = this.#topology;
    const { dp, tp, ep: groups, microbatches, offload } = mixture;
    const peers = parallel.expertsSliced ? 1 : tp;
    const isFinished = dp * peers === groups && microbatches === 1 && offload === 'none';
    return rowChunks({ model, wire, sequences, grains, peers, groups, isElsewhere: groups > 1, isFinished });
  }

  /** @param keeping - what a pass of training keeps; null: one of an evaluation */
  #passBytes(shape: StageShape, { ep, tp }: Axes, keeping: Keeping | null): PassBytes {
    const key = keeping === null ? ['evaluates'] : [keeping.recomputes, keeping.defers];
    return this.#passes.at([shape.sequences, shape.grains, ep, tp, ...key], () =>
      passBytes(shape, ep, keeping),
    );
  }

  #denseParts(
    { dense, moe, hasEmbedding, hasHead }: Blocks,
    tp: number,
  ): readonly (Elements & { readonly count: number })[] {
    const { model } = this.#topology;
    const first = (isMoe: boolean): number =>
      Array.from({ length: model.layers }, (_, layer) => layer).findIndex(
        (layer) => isMoeLayer(model, layer) === isMoe,
      );
    const units = (which: 'dense' | 'moe' | 'embed' | 'tail'): readonly Unit[] => {
      if (which === 'dense' || which === 'moe') return layerUnits(model, first(which === 'moe'));
      return denseUnits(model).filter(
        ({ id, layer }) => layer === null && (id === 'embed') === (which === 'embed'),
      );
    };
    const of = (which: 'dense' | 'moe' | 'embed' | 'tail'): Elements =>
      this.#elements.at([which, tp], () => {
        const sum = { divided: 0, operands: 0, whole: 0 };
        for (const unit of units(which)) {
          if (isOperandOnly(unit)) sum.operands += padded(unit.size / tp);
          if (tp === 1 || isDivided(unit)) sum.divided += padded(unit.size / tp);
          else sum.whole += unit.paddedSize;
        }
        return sum;
      });
    return [
      ...(hasEmbedding || (hasHead && model.tiedHead) ? [{ count: 1, ...of('embed') }] : []),
      ...(dense > 0 ? [{ count: dense, ...of('dense') }] : []),
      ...(moe > 0 ? [{ count: moe, ...of('moe') }] : []),
      ...(hasHead ? [{ count: 1, ...of('tail') }] : []),
    ];
  }

  /** Of one expert of one layer. */
  #expertElements(tp: number): number {
    const { model, parallel } = this.#topology;
    const [layer] = moeLayers(model);
    if (layer === undefined) return 0;
    return this.#elements.at(['expert', tp], () => ({
      divided: padded(expertUnit(model, layer, 0).size / (parallel.expertsSliced ? tp : 1)),
      operands: 0,
      whole: 0,
    })).divided;
  }
}

/** What of a run of blocks its bytes follow from. */
export function blocksIn({ model }: ResolvedTopology, { blocks, hasEmbedding, hasHead }: StagePlan): Blocks {
  const moe = blocks.filter((block) => isMoeLayer(model, block)).length;
  return { dense: blocks.length - moe, moe, hasEmbedding, hasHead };
}

/** All runs of a stage together. */
export const together = (chunks: readonly Blocks[]): Blocks => ({
  dense: chunks.reduce((sum, { dense }) => sum + dense, 0),
  moe: chunks.reduce((sum, { moe }) => sum + moe, 0),
  hasEmbedding: chunks.some(({ hasEmbedding }) => hasEmbedding),
  hasHead: chunks.some(({ hasHead }) => hasHead),
});
