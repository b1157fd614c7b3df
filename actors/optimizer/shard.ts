import type { Address } from '@troupe/core';
import type { Parameter } from '@troupe/spec';
import { GroupExchange, type ParameterGroup, type WorkerRank } from '@troupe/topology/layout';
import { intersect, type Range } from '../gradients.ts';
import { firstSource } from '../job.ts';
import type { Replica } from '../replica.ts';
import type { OptimizerInput } from './machine.ts';

/** A part of one tensor that lies in a flat buffer at `flat`. */
interface Piece {
  readonly parameter: Parameter;
  /** First element inside the tensor. */
  readonly offset: number;
  /** Where it lies in the class's flat buffer. */
  readonly flat: Range;
}

/** What a shard owns and with whom it shares the class. */
export class Shard {
  readonly replica: Replica;
  readonly group: ParameterGroup;
  /** Those that hold the same parameters, and who exchanges what with whom. */
  readonly among: GroupExchange;
  /** The slice whose gradient sum this shard completes and votes with. */
  readonly reduces: Range;
  /** The slice whose weights and moments it owns: the same under ZeRO 1, everything under ZeRO 0. */
  readonly owns: Range;
  readonly length: number;
  /** The workers that keep a copy of this state and whose state is kept here; null: nobody. */
  readonly buddy: WorkerRank | null;
  readonly ward: { readonly worker: WorkerRank; readonly owns: Range } | null;

  constructor(replica: Replica, group: ParameterGroup) {
    this.replica = replica;
    const { layout } = replica.job;
    this.group = group;
    this.among = replica.exchange(group.name);
    this.length = group.flat.length;
    const { exchange, slice } = this.among;
    this.reduces = slice;
    this.owns = layout.zero === 0 ? exchange.part(0) : this.reduces;
    this.buddy = layout.buddyOf(group, replica.worker);
    const worker = layout.wardOf(group, replica.worker);
    this.ward =
      worker === null
        ? null
        : { worker, owns: new GroupExchange(layout.groupOf(worker, group.name), worker).slice };
  }

  get input(): OptimizerInput {
    const { exchange } = this.among;
    const slice = this.reduces.to - this.reduces.from;
    return {
      version: this.replica.job.first.step,
      expected: Array.from({ length: exchange.numLevels }, (_, level) => exchange.expected(level)),
      expectedTotals: this.replica.job.layout.zero === 0 ? this.length - slice : 0,
      pieces: this.pieces(this.owns).length,
      owned: this.owns.to - this.owns.from,
      source: firstSource(this.replica.job) === 'seed' ? 'seed' : 'snapshot',
      joins: this.replica.joins,
      guarded: this.buddy === null ? 0 : this.owns.to - this.owns.from,
      wardSize: this.ward === null ? 0 : this.ward.owns.to - this.ward.owns.from,
    };
  }

  /** The tensors' parts within `range`, in order; padding is in none. */
  pieces(range: Range): readonly Piece[] {
    const { units, starts } = this.group.flat;
    return units.flatMap((unit, index) => {
      const start = starts[index] ?? 0;
      return unit.parameters.flatMap((parameter) => {
        const first = start + parameter.offset;
        const flat = intersect(range, { from: first, to: first + parameter.size });
        return flat === null ? [] : [{ parameter, offset: flat.from - first, flat }];
      });
    });
  }
}

/** Who beside a shard reads weights of `whole`: the stage, or the experts layer by layer. */
export function readers(
  { replica, group }: Shard,
  whole: Range,
): readonly { readonly to: Address; readonly range: Range }[] {
  const { job, worker, layers } = replica;
  const { layout } = job;
  if (group.reader === 'stage')
    return whole.from < whole.to ? [{ to: layout.stageOf(worker), range: whole }] : [];
  return layers.flatMap((layer) => {
    const range = intersect(whole, replica.expertBuffers(layer));
    return range === null ? [] : [{ to: layout.expertOf(layer, worker), range }];
  });
}
