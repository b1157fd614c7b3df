import type { TokenBatch, TokenSource } from '@troupe/actors';
import { isThenable, shownValue, UserCodeError, userCodeError, type TroupeError } from '@troupe/core';
import type { ModelConfig } from '@troupe/spec';
import { sourceProblem } from './own-source.ts';

type Sizes = Pick<ModelConfig, 'vocab' | 'seqLen' | 'encoder'>;

/** First element outside least … most; -1: none. */
function outside(values: Int32Array, least: number, most: number): number {
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    if (value < least || value > most) return i;
  }
  return -1;
}

/** @throws {UserCodeError} TROUPE_USER_CODE naming the member that is not what a batch of `count` sequences has */
function checkedBatch(what: string, batch: unknown, count: number, sizes: Sizes): TokenBatch {
  const { vocab, seqLen } = sizes;
  const wrong = (problem: string): UserCodeError => new UserCodeError(what, problem);
  if (typeof batch !== 'object' || batch === null)
    throw wrong(
      `returned ${shownValue(batch)}, expected a batch: { ids_T, targets_T, firstSeen_T, valid_T }, or a Promise of one`,
    );
  const length = count * seqLen;
  const members = batch as Readonly<Record<string, unknown>>;
  for (const [name, kind] of [
    ['ids_T', Int32Array],
    ['targets_T', Int32Array],
    ['firstSeen_T', Int32Array],
    ['valid_T', Uint8Array],
  ] as const) {
    const found = members[name];
    if (!(found instanceof kind) || found.length !== length)
      throw wrong(
        `returned ${shownValue(found)} as ${name}, expected ${kind.name} of ${length} (${count} sequences of ${seqLen})`,
      );
  }
  const { ids_T, targets_T, firstSeen_T } = batch as TokenBatch;
  for (const [name, values, least, most] of [
    ['ids_T', ids_T, 0, vocab - 1],
    ['targets_T', targets_T, -1, vocab - 1],
    ['firstSeen_T', firstSeen_T, 0, seqLen - 1],
  ] as const) {
    const at = outside(values, least, most);
    if (at >= 0) throw wrong(`returned ${values[at]} as ${name}[${at}], expected ${least} to ${most}`);
  }
  const problem = sourceProblem(batch as TokenBatch, { ...sizes, count });
  if (problem !== null) throw wrong(problem);
  return batch as TokenBatch;
}

type Made = TokenBatch | PromiseLike<TokenBatch>;

/** A source of the embedding program, whose batches are looked at before the model sees them; one that comes again is not looked at again. */
export class OwnTokens implements TokenSource {
  readonly #source: TokenSource;
  readonly #sizes: Sizes;
  readonly #seen = new WeakSet<object>();
  #failure: TroupeError | null = null;

  constructor(source: TokenSource, sizes: Sizes) {
    this.#source = source;
    this.#sizes = sizes;
  }

  /** What it threw first, or was rejected with. */
  get failure(): TroupeError | null {
    return this.#failure;
  }

  trainBatch(step: number, first: number, count: number): Made {
    const what = `trainBatch(${step}, ${first}, ${count}) of the option tokens`;
    return this.#checked(what, () => this.#source.trainBatch(step, first, count), count);
  }

  evalBatch(first: number, count: number): Made {
    const what = `evalBatch(${first}, ${count}) of the option tokens`;
    return this.#checked(what, () => this.#source.evalBatch(first, count), count);
  }

  #checked(what: string, make: () => Made, count: number): Made {
    const look = (batch: unknown): TokenBatch => this.#look(what, batch, count);
    const fail = (thrown: unknown): never => {
      const error = userCodeError(what, thrown);
      this.#failure ??= error;
      throw error;
    };
    try {
      const batch: unknown = make();
      return isThenable(batch) ? Promise.resolve(batch).then(look).catch(fail) : look(batch);
    } catch (thrown) {
      return fail(thrown);
    }
  }

  #look(what: string, batch: unknown, count: number): TokenBatch {
    if (typeof batch === 'object' && batch !== null && this.#seen.has(batch)) return batch as TokenBatch;
    const good = checkedBatch(what, batch, count, this.#sizes);
    this.#seen.add(good);
    return good;
  }
}
