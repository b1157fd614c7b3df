import { NORM_BLOCK } from '@troupe/kernel-set';
import { StageStatistics, tensorShare, type StageShape } from '@troupe/model/buffers';
import {
  denseUnits,
  encoderLayers,
  exchangeLevels,
  expertUnit,
  gradientCalls,
  isEmbedding,
  isMoeLayer,
  isOperandOnly,
  isPositionTable,
  keptShare,
  layerUnits,
  memoryNormId,
  moeLayers,
  stackOf,
  streamOf,
  type StreamName,
  type Unit,
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
import {
  bytesIn,
  gradientBytesIn,
  passBytes,
  type Blocks,
  type Keeping,
  type PassBytes,
  type StreamBlocks,
} from './quick-passes.ts';

const streams: readonly StreamName[] = ['encoder', 'decoder'];

/** Units of a part of a model that are not routed experts: what is in front of all blocks or behind them, or beside those of a stream. */
type UnitsOf = 'embed' | 'tail' | 'memory-norm' | `${StreamName} ${'dense' | 'moe' | 'positions'}`;

/** Padded elements of units: those that tensor ranks divide (of them those that only products read), and those that all of them hold. */
interface Elements {
  readonly divided: number;
  readonly operands: number;
  readonly whole: number;
  /** Of those that are divided: gradients that one kernel call finishes, where a step has one pass. */
  readonly stored: number;
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
  /** Gradients that one kernel call of a pass finishes. */
  readonly stored: number;
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
      const isStored = holders === 1 && calls === 1 && !isOffloaded;
      const stored = isStored ? segments.reduce((sum, each) => sum + each.count * each.stored, 0) : 0;
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
        passed: isShared && zero < 3 ? this.#passed(length - rounded / 2, holders) : 0,
        marks: 0,
        levelMarks: 0,
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
        parts.map(({ count, divided, operands, stored }) => ({ count, length: divided, operands, stored })),
        dp,
      ),
      ...(tp === 1
        ? []
        : [
            group(
              parts.map(({ count, whole }) => ({ count, length: whole, operands: 0, stored: 0 })),
              dp * tp,
              { isAlike: true },
            ),
          ]),
      ...(numMoe(blocks) === 0
        ? []
        : [
            group([{ count: numMoe(blocks), length: experts, operands: experts, stored: experts }], dp / ep, {
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
    const { model } = this.#topology;
    const parallel = { ...this.#topology.parallel, ep };
    const service = { ...keeping, chunks: this.#chunksOf(mixture) };
    const expertsOf = (stream: StreamName): number =>
      expertBytes({ ...this.#topology, parallel }, shape, { ...service, layer: stackOf(model, stream).from });
    const experts = {
      encoder: model.encoder === null ? 0 : expertsOf('encoder'),
      decoder: expertsOf('decoder'),
    };
    const one = (chunk: Blocks, index: number): number =>
      (slots[index] ?? 0) * bytesIn(training, chunk) +
      (atExperts[index] ?? 0) * streams.reduce((sum, each) => sum + chunk[each].moe * experts[each], 0) +
      (evaluation === null ? 0 : bytesIn(evaluation, chunk));
    const blocks = together(chunks);
    const fixed = positionBytes(model) + 2 * this.#statistics(numMoe(blocks));
    const shared = gradientBytesIn(training, chunks);
    return chunks.reduce((sum, chunk, index) => sum + one(chunk, index), fixed + shared);
  }

  /** Sums of an exchange's groups are of a part of every segment, a smaller one at each level. */
  #levelSums(segments: readonly Segments[], holders: number): number {
    const rooms = roomsOf(segments, BUCKET_ROOMS);
    return this.#levels(holders)
      .slice(1)
      .reduce((sum, { stride }) => sum + rooms / stride, 0);
  }

  /** Of so many floats of weights those that a shard gets for its group beside its own, bytes. */
  #passed(weights: number, holders: number): number {
    const [, second] = this.#levels(holders);
    return second === undefined ? 0 : 4 * weights * (1 / second.stride - 1 / holders);
  }

  #levels(holders: number) {
    const { wire, machines } = this.#topology;
    const perMachine = new MachineRow(machines).neighbours;
    return exchangeLevels(holders, { perMachine, fanout: wire.fanout });
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

  #denseParts(blocks: Blocks, tp: number): readonly (Elements & { readonly count: number })[] {
    const { model } = this.#topology;
    const parts: readonly (readonly [UnitsOf, number])[] = [
      ['embed', blocks.hasEmbedding || (blocks.hasHead && model.tiedHead) ? 1 : 0],
      ...streams.flatMap((stream) => {
        const { dense, moe, begins } = blocks[stream];
        return [
          [`${stream} positions`, begins ? 1 : 0],
          [`${stream} dense`, dense],
          [`${stream} moe`, moe],
        ] as const;
      }),
      ['memory-norm', blocks.makesMemory ? 1 : 0],
      ['tail', blocks.hasHead ? 1 : 0],
    ];
    return parts.flatMap(([which, count]) =>
      count === 0 ? [] : [{ count, ...this.#elementsOf(which, tp) }],
    );
  }

  #elementsOf(which: UnitsOf, tp: number): Elements {
    return this.#elements.at([which, tp], () => {
      const sum = { divided: 0, operands: 0, whole: 0, stored: 0 };
      for (const unit of this.#units(which)) {
        const size = padded(unit.size / tp);
        if (isOperandOnly(unit)) sum.operands += size;
        if (tp > 1 && !isDivided(unit)) sum.whole += unit.paddedSize;
        else {
          sum.divided += size;
          if (unit.buffer === null && gradientCalls(this.#topology.model, unit) === 1) sum.stored += size;
        }
      }
      return sum;
    });
  }

  #units(which: UnitsOf): readonly Unit[] {
    const { model } = this.#topology;
    const last = encoderLayers(model) - 1;
    const ofAll = denseUnits(model).filter(({ layer }) => layer === null);
    if (which === 'embed') return ofAll.filter(isEmbedding);
    if (which === 'tail') return ofAll.filter((unit) => !isEmbedding(unit));
    if (which === 'memory-norm') return layerUnits(model, last).filter(({ id }) => id === memoryNormId(last));
    const [stream, kind] = which.split(' ') as [StreamName, 'dense' | 'moe' | 'positions'];
    const { from, to } = stackOf(model, stream);
    if (kind === 'positions') return layerUnits(model, from).filter(isPositionTable);
    const layers = Array.from({ length: to - from }, (_, index) => from + index);
    const first = layers.find((layer) => isMoeLayer(model, layer) === (kind === 'moe')) ?? from;
    return layerUnits(model, first).filter(
      (unit) => !isPositionTable(unit) && unit.id !== memoryNormId(first),
    );
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
      stored: 0,
    })).divided;
  }
}

/** Layers with experts, of both streams. */
const numMoe = ({ encoder, decoder }: Blocks): number => encoder.moe + decoder.moe;

/** What of a run of blocks its bytes follow from. */
export function blocksIn({ model }: ResolvedTopology, plan: StagePlan): Blocks {
  const { hasEmbedding, hasHead } = plan;
  const of = (stream: StreamName): StreamBlocks => {
    const blocks = plan.blocks.filter((block) => streamOf(model, block) === stream);
    const moe = blocks.filter((block) => isMoeLayer(model, block)).length;
    return { dense: blocks.length - moe, moe, begins: blocks.includes(stackOf(model, stream).from) };
  };
  const makesMemory = plan.blocks.includes(encoderLayers(model) - 1);
  return { encoder: of('encoder'), decoder: of('decoder'), hasEmbedding, hasHead, makesMemory };
}

/** All runs of a stage together. */
export function together(chunks: readonly Blocks[]): Blocks {
  const of = (stream: StreamName): StreamBlocks => ({
    dense: chunks.reduce((sum, chunk) => sum + chunk[stream].dense, 0),
    moe: chunks.reduce((sum, chunk) => sum + chunk[stream].moe, 0),
    begins: chunks.some((chunk) => chunk[stream].begins),
  });
  return {
    encoder: of('encoder'),
    decoder: of('decoder'),
    hasEmbedding: chunks.some(({ hasEmbedding }) => hasEmbedding),
    hasHead: chunks.some(({ hasHead }) => hasHead),
    makesMemory: chunks.some(({ makesMemory }) => makesMemory),
  };
}
