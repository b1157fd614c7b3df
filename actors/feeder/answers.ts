import { assert, isThenable, type Address } from '@troupe/core';
import type { Place } from '@troupe/runtime';
import type { FeederSelf } from './events.ts';
import type { TokenBatch } from './token-source.ts';

/** What a source of tokens returns. */
export type Answer = TokenBatch | PromiseLike<TokenBatch>;

/** Which sequences, and who wants them: nobody in particular, where they are of a step. */
export interface Request extends Required<Pick<Place, 'step' | 'attempt' | 'microbatch'>> {
  readonly asker: Address | null;
}

export const placeOf = ({ step, attempt, microbatch }: Omit<Request, 'asker'>) => ({
  step,
  attempt,
  microbatch,
});

const keyOf = ({ step, attempt, microbatch, asker }: Request): string =>
  `${step}/${attempt}/${microbatch}/${asker ?? ''}`;
const isHere = (batch: Answer): batch is TokenBatch => !isThenable(batch);

/** What a source that had to be waited for has answered, until its event comes. */
export class Answers {
  readonly #self: FeederSelf;
  readonly #answered = new Map<string, readonly TokenBatch[]>();

  constructor(self: FeederSelf) {
    this.#self = self;
  }

  /** Passes batches on: at once where they are here, so that a source that answers at once costs no turn. */
  serve(
    batches: readonly Answer[],
    request: Request,
    loaded: 'step.loaded' | 'evaluation.loaded',
    pass: (request: Request, batches: readonly TokenBatch[]) => void,
  ): void {
    if (batches.every(isHere)) {
      pass(request, batches);
      return;
    }
    const all = Promise.all(batches.map((batch) => Promise.resolve(batch))).then((found) => {
      this.#answered.set(keyOf(request), found);
      return { body: { asker: request.asker ?? '' } };
    });
    this.#self.settle(all, loaded, 'source.failed', placeOf(request));
  }

  taken(request: Request): readonly TokenBatch[] {
    const key = keyOf(request);
    const batches = this.#answered.get(key);
    assert(batches, 'a batch that was loaded is here', { key });
    this.#answered.delete(key);
    return batches;
  }
}
