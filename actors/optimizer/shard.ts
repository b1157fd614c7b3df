import { assert } from '@troupe/core';
import { blocksOfPart, type PartBlock } from '@troupe/spec';
import {
  GroupExchange,
  type ParameterGroup,
  type ShardPlace,
  type WorkerRank,
} from '@troupe/topology/layout';
import { lengthOf, MESSAGE_ELEMENTS, type Range } from '../gradients.ts';
import type { GroupBuffers, GroupShare } from '../group-buffers.ts';
import { firstSource } from '../job.ts';
import { roundsIn, type ResidentWeights } from '../weight-source.ts';
import type { Worker } from '../worker.ts';
import type { OptimizerInput } from './context.ts';

/** A part of one tensor that lies in a flat buffer at `flat`. */
export interface Piece {
  readonly name: string;
  readonly block: PartBlock;
  /** Where it lies in the group's flat buffer. */
  readonly flat: Range;
}

/** Where a piece lies in its whole tensor, for a message about it. */
export const placeOfPiece = ({ name, block: { firstIndex, rows, rowLength, rowStride } }: Piece) => ({
  name,
  offset: firstIndex,
  ...(rows === 1 ? {} : { rowLength, rowStride }),
});

/** A piece in messages that are not too large; of a part of columns in whole rows. */
export function chunksOfPiece({ name, block, flat }: Piece): readonly Piece[] {
  const { at, firstIndex, rows, rowLength, rowStride } = block;
  const most = rows === 1 ? MESSAGE_ELEMENTS : Math.max(1, Math.floor(MESSAGE_ELEMENTS / rowLength));
  const total = rows === 1 ? rowLength : rows;
  const width = rows === 1 ? 1 : rowLength;
  return Array.from({ length: Math.ceil(total / most) }, (_, index) => {
    const [first, count] = [index * most, Math.min(most, total - index * most)];
    const from = flat.from + first * width;
    return {
      name,
      block: {
        at: at + first * width,
        firstIndex: firstIndex + first * (rows === 1 ? 1 : rowStride),
        rows: rows === 1 ? 1 : count,
        rowLength: rows === 1 ? count : rowLength,
        rowStride: rows === 1 ? count : rowStride,
      },
      flat: { from, to: from + count * width },
    };
  });
}

/** What a shard owns and with whom it shares the group. */
export class Shard implements GroupShare {
  /** Where it lives. */
  readonly worker: Worker;
  readonly group: ParameterGroup;
  /** Whose it is. */
  readonly rank: WorkerRank;
  readonly among: GroupExchange;
  /** What the stage or the experts beside it compute with; null: they are elsewhere. */
  readonly beside: GroupBuffers | null;
  /** The slice whose gradient sum this shard completes and votes with. */
  readonly reduces: Range;
  /** The slice whose weights and moments it owns: the same under ZeRO 1, everything under ZeRO 0. */
  readonly owns: Range;
  /** The worker that keeps a copy of this state; null: nobody. */
  readonly buddy: WorkerRank | null;

  constructor(worker: Worker, { group, worker: rank }: ShardPlace, beside: GroupBuffers | null) {
    const { layout } = worker.job;
    const among = new GroupExchange(group, rank);
    this.worker = worker;
    this.group = group;
    this.rank = rank;
    this.among = among;
    this.beside = beside;
    this.reduces = among.slice;
    this.owns = layout.ownedBy(group, rank);
    this.buddy = layout.buddyOf(group, rank);
    assert(
      this.owns.from <= this.reduces.from && this.reduces.to <= this.owns.to,
      'a shard updates what it sums up',
      { worker: rank, group: group.name },
    );
  }

  /** The buffer in which readers beside have all weights, which it writes; null: what they read comes to them. */
  get residentBeside(): ResidentWeights | null {
    const weights = this.beside?.weights;
    return weights?.kind === 'resident' ? weights : null;
  }

  /** What its readers have in bf16 of what it owns is rounded there. */
  get #rounds(): boolean {
    const isRounded = roundsIn(this.worker.job, this.group);
    return this.pieces(this.owns).length > 0 && this.group.units.some(isRounded);
  }

  get input(): OptimizerInput {
    const { exchange } = this.among;
    const { job, joins } = this.worker;
    return {
      version: job.first.step,
      expected: Array.from({ length: exchange.numLevels }, (_, level) => this.#expected(level)),
      inBuckets: job.layout.hasCourier(this.group),
      expectedTotals: job.layout.zero === 0 ? this.group.flat.length - lengthOf(this.reduces) : 0,
      pieces: this.pieces(this.owns).length,
      owned: lengthOf(this.owns),
      source: firstSource(job) === 'seed' ? 'seed' : 'snapshot',
      rounds: this.#rounds,
      joins,
      guarded: this.buddy === null ? 0 : lengthOf(this.owns),
    };
  }

  /**
   * OPT-2: elements that come in at a level in a step. Once for every other member, and the own one below; in buckets once a microbatch, and
   * the own group's sum comes to the next level as all others do.
   */
  #expected(level: number): number {
    const { exchange } = this.among;
    const { layout } = this.worker.job;
    if (!layout.hasCourier(this.group)) return exchange.expected(level);
    const elements = lengthOf(exchange.part(level + 1));
    return elements * exchange.group(level).length * layout.dealing.microbatches;
  }

  /** The tensors' parts within `range`, in order; padding is in none. */
  pieces(range: Range): readonly Piece[] {
    const { units, starts } = this.group.flat;
    const { seats } = this.worker;
    return units.flatMap((seat, index) => {
      const start = starts[index] ?? 0;
      return seats.unitAt(seat).parameters.flatMap((parameter) => {
        const first = start + parameter.offset;
        const part = { from: range.from - first, to: range.to - first };
        return blocksOfPart(parameter, part).map((block) => {
          const from = first + block.at;
          return { name: parameter.name, block, flat: { from, to: from + block.rows * block.rowLength } };
        });
      });
    });
  }
}
