import type { Address } from '@troupe/core';
import type { Parameter } from '@troupe/spec';
import { addresses } from '../addresses.ts';
import { ClassExchange } from '../class-exchange.ts';
import { intersect, type Range } from '../gradients.ts';
import { firstSource, expertRank, type ParameterClassName } from '../job.ts';
import type { Replica } from '../replica.ts';
import { buddyOf, wardOf } from './buddies.ts';
import type { OptimizerInput } from './machine.ts';

/** A part of one tensor that lies in a flat buffer at `flat`. */
interface Piece {
  readonly parameter: Parameter;
  /** First element inside the tensor. */
  readonly offset: number;
  /** Where it lies in the class's flat buffer. */
  readonly flat: Range;
}

/** What the shard of another replica completes and updates alone. */
function sliceOf(replica: Replica, parameterClass: ParameterClassName, dp: number): Range {
  const { layout } = replica.buffers(parameterClass);
  const { exchange } = new ClassExchange(replica.job, dp, parameterClass, layout);
  return exchange.part(exchange.numLevels);
}

/** What a shard owns and with whom it shares the class. */
export class Shard {
  readonly replica: Replica;
  readonly parameterClass: ParameterClassName;
  /** Those that hold the same parameters, and who exchanges what with whom. */
  readonly among: ClassExchange;
  /** The slice whose gradient sum this shard completes and votes with. */
  readonly reduces: Range;
  /** The slice whose weights and moments it owns: the same under ZeRO 1, everything under ZeRO 0. */
  readonly owns: Range;
  readonly length: number;
  /** The replicas that keep a copy of this state and whose state is kept here; null: nobody. */
  readonly buddy: number | null;
  readonly ward: { readonly dp: number; readonly owns: Range } | null;

  constructor(replica: Replica, parameterClass: ParameterClassName) {
    this.replica = replica;
    this.parameterClass = parameterClass;
    this.among = replica.exchange(parameterClass);
    this.length = replica.buffers(parameterClass).layout.length;
    const { exchange } = this.among;
    this.reduces = exchange.part(exchange.numLevels);
    this.owns = replica.job.zero === 0 ? exchange.part(0) : this.reduces;
    this.buddy = buddyOf(replica.job, parameterClass, replica.dp);
    const ward = wardOf(replica.job, parameterClass, replica.dp);
    this.ward = ward === null ? null : { dp: ward, owns: sliceOf(replica, parameterClass, ward) };
  }

  get input(): OptimizerInput {
    const { exchange } = this.among;
    const slice = this.reduces.to - this.reduces.from;
    return {
      version: this.replica.job.first.step,
      expected: Array.from({ length: exchange.numLevels }, (_, level) => exchange.expected(level)),
      expectedTotals: this.replica.job.zero === 0 ? this.length - slice : 0,
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
    const { layout } = this.replica.buffers(this.parameterClass);
    return layout.units.flatMap((unit, index) => {
      const start = layout.starts[index] ?? 0;
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
  { replica, parameterClass }: Shard,
  whole: Range,
): readonly { readonly to: Address; readonly range: Range }[] {
  if (parameterClass === 'dense')
    return whole.from < whole.to ? [{ to: addresses.stage(replica.dp), range: whole }] : [];
  const { ep, edp } = expertRank(replica.job, replica.dp);
  return replica.shape.layers.flatMap((layer) => {
    const range = intersect(whole, replica.expertBuffers(layer));
    return range === null ? [] : [{ to: addresses.expert(layer, ep, edp), range }];
  });
}
