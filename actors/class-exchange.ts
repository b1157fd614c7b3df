import { Exchange, type ElementRange, type FlatLayout } from '@troupe/spec';
import { holdersOf, type Job, type ParameterClassName } from './job.ts';

/** Another holder of the same parameters, and the part of the buffer that it completes at a level. */
export interface Holder {
  readonly dp: number;
  readonly part: ElementRange;
}

/** Where one shard of a class stands among those that hold the same parameters, and what it exchanges with whom. */
export class ClassExchange {
  readonly exchange: Exchange;
  readonly #others: readonly (readonly Holder[])[];

  constructor(job: Job, dp: number, parameterClass: ParameterClassName, { length }: FlatLayout) {
    const { position, first, stride } = holdersOf(job, parameterClass, dp);
    this.exchange = new Exchange(length, position, job.exchange[parameterClass]);
    this.#others = Array.from({ length: this.exchange.numLevels }, (_, level) =>
      this.exchange.others(level).map((other) => ({ dp: first + stride * other.position, part: other.part })),
    );
  }

  /** The members of the shard's group at a level without itself, in the order of their parts. */
  others(level: number): readonly Holder[] {
    return this.#others[level] ?? [];
  }
}
