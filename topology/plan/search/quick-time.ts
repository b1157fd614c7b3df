import { blockOf, isMoeLayer, meanChoices, positionsOf, tokensBeside, visitedShare } from '@troupe/spec';
import type { Layout } from '../../layout/layout.ts';
import { stageIndex } from '../../layout/rank.ts';
import type { ResolvedTopology } from '../../resolved.ts';
import { timelineOf, type OperationTimes } from '../timeline.ts';
import { chunkWork, timesWork, type Work } from '../work.ts';
import type { Mixture } from './mixture.ts';

/** Speeds of a cluster whose devices are alike. */
export interface ClusterSpeed {
  readonly flopsPerSecond: number;
  /** Of a device's memory; ∞: not counted. */
  readonly memoryBytesPerSecond: number;
  /** Neighbours in the order of ranks that share a machine. */
  readonly perMachine: number;
  readonly inside: LinkSpeed;
  readonly between: LinkSpeed;
}

export interface LinkSpeed {
  readonly bytesPerSecond: number;
  readonly latencySeconds: number;
}

/** What AdamW reads and writes of an element: weights, gradient, two moments. */
const UPDATE_BYTES = 4 + 4 + 8 + 8 + 8;

/** Seconds of a step by what takes them. */
export interface QuickTime {
  readonly compute: number;
  /** Rows, sums of tensor ranks and activations between stages: a stage waits for each. */
  readonly messages: number;
  /** Gradients and new weights, behind the last microbatch or where they do not fit beside computing. */
  readonly update: number;
  readonly step: number;
}

/** A run of blocks, for its time; tokens of an encoder count as so many of the decoder as there are for each of these. */
interface ChunkFigures {
  readonly work: Work;
  /** Sums of tensor ranks: two a block, three where it reads an encoder. */
  readonly sums: number;
  readonly moe: number;
}

/** Of all stages of a layout, per token: what its chunks cost. */
export const chunkFigures = (
  { model }: ResolvedTopology,
  layout: Layout,
): readonly (readonly ChunkFigures[])[] =>
  Array.from({ length: layout.mesh.pp }, (_, stage) =>
    layout.chunksOf(stageIndex(stage)).map((chunk) => {
      const sumOf = (count: (block: number) => number): number =>
        chunk.blocks.reduce((sum, block) => sum + count(block) * tokensBeside(model, block), 0);
      return {
        work: chunkWork(model, chunk),
        sums: sumOf((block) => (blockOf(model, block).cross === null ? 2 : 3)),
        moe: sumOf((block) => (isMoeLayer(model, block) ? 1 : 0)),
      };
    }),
  );

/**
 * Estimates the time of a step: each stage computes at the speed of its device and then waits for its messages, one kind after the other.
 * Every pair of workers has the bandwidth of a link, as in a simulation. Neither start times of kernels nor event loops are in it.
 */
export class QuickTimes {
  readonly #topology: ResolvedTopology;
  readonly #speed: ClusterSpeed;

  constructor(topology: ResolvedTopology, speed: ClusterSpeed) {
    this.#topology = topology;
    this.#speed = speed;
  }

  /** Seconds in which so many bytes go from a worker to a peer that is so many ranks away. */
  #send(bytes: number, distance: number): number {
    const { inside, between, perMachine } = this.#speed;
    const link = distance < perMachine ? inside : between;
    return link.latencySeconds + bytes / link.bytesPerSecond;
  }

  /** Times of the operations of a chunk, and the part of them that is messages. */
  #operations(
    figures: ChunkFigures,
    mixture: Omit<Mixture, 'zero' | 'offload'>,
  ): OperationTimes & { readonly waited: number } {
    const { model, train, parallel, wire } = this.#topology;
    const { dp, tp, ep, pp, microbatches, pipeline, recompute } = mixture;
    const tokens = (train.batch / dp / microbatches) * model.seqLen;
    const work = timesWork(figures.work, tokens / tp / this.#speed.flopsPerSecond);
    const rowBytes = model.dModel * (wire.dtype === 'bf16' ? 2 : 4);
    const { moe } = model;
    const isFar = parallel.rankOrder === 'edp-inner' ? (dp / ep) * tp * (ep - 1) : tp * (ep - 1);
    const rows =
      ep === 1 || figures.moe === 0 || moe === null
        ? 0
        : figures.moe *
          (this.#send(tokens * visitedShare(moe, moe.experts / ep) * rowBytes, isFar) +
            this.#send(((tokens * meanChoices(moe)) / ep) * rowBytes, isFar));
    // Partial sums behind attention and behind the FFN, each in log2(tp) rounds.
    const rounds = Math.ceil(Math.log2(tp));
    const tensor = tp === 1 ? 0 : figures.sums * rounds * this.#send(tokens * model.dModel * 4, tp - 1);
    // Both streams travel on.
    const travelling = (tokens / model.seqLen) * positionsOf(model);
    const hop = pp === 1 ? 0 : this.#send(travelling * model.dModel * 4, dp * tp);
    const again = recompute === 'layer' ? work.again + tensor / 2 : 0;
    const isApart = pipeline === 'zero-bubble';
    const waited = rows + tensor + hop;
    return {
      forward: work.forward + waited,
      backward: work.backward + (isApart ? 0 : work.weights) + again + waited,
      weights: isApart ? work.weights : 0,
      waited: 2 * waited,
    };
  }

  /** Seconds of one exchange of gradients (8 bytes an element down) or weights (4 up) among holders of a buffer. */
  #exchange(elements: number, holders: number, distance: number, bytes: number): number {
    if (holders === 1 || elements === 0) return 0;
    const fanout = this.#topology.wire.fanout || holders;
    let [seconds, rest, stride] = [0, holders, distance];
    let size = elements;
    while (rest > 1) {
      const group = Math.min(rest, fanout);
      size /= group;
      seconds += this.#send(bytes * size, stride * (group - 1));
      stride *= group;
      rest = Math.ceil(rest / group);
    }
    return seconds;
  }

  /** How long the passes of a step take, whatever is done with their gradients. */
  passes(
    figures: readonly (readonly ChunkFigures[])[],
    mixture: Omit<Mixture, 'zero' | 'offload'>,
  ): PassTime {
    const { microbatches, pipeline, chunks } = mixture;
    const times = figures.map((stage) => stage.map((chunk) => this.#operations(chunk, mixture)));
    const { end } = timelineOf({ kind: pipeline, microbatches, chunks }, times);
    const waited = Math.max(
      ...times.map((stage) => microbatches * stage.reduce((sum, each) => sum + each.waited, 0)),
    );
    return { end, waited };
  }

  /**
   * @param elements - of a worker of the fullest stage: parameters that are not routed experts, and routed experts
   */
  estimate(
    { end, waited }: PassTime,
    elements: { readonly dense: number; readonly expert: number },
    mixture: Mixture,
  ): QuickTime {
    const { dp, tp, ep, zero, offload, microbatches } = mixture;
    const one = (bytes: number): number =>
      this.#exchange(elements.dense, dp, tp, bytes) +
      this.#exchange(elements.expert, dp / ep, tp * ep, bytes);
    const down = one(zero === 0 ? 16 : 8);
    const up = zero === 0 ? 0 : one(4);
    // Buckets leave beside the next microbatch, and gathered weights come a layer ahead: what takes longer than computing is waited for.
    const beside = down + (zero === 3 ? 2 * up : 0) - end / microbatches;
    const leaving = zero >= 2 ? Math.max(0, beside) * (microbatches - 1) : 0;
    const owned = elements.dense / (zero === 0 ? 1 : dp) + elements.expert / (zero === 0 ? 1 : dp / ep);
    const updated = (owned * UPDATE_BYTES) / this.#speed.memoryBytesPerSecond;
    const host = offload === 'optimizer' ? this.#send(12 * owned, 1) : 0;
    const update = down + up + leaving + updated + host;
    return { compute: end - waited, messages: waited, update, step: end + update };
  }
}

/** Of the passes of a step: how long they take, and how much of it the busiest stage waits for messages. */
interface PassTime {
  readonly end: number;
  readonly waited: number;
}
