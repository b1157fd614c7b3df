import type { HostFloats } from '@troupe/core';
import type { BatchSource, EvaluationPart } from '@troupe/data';

/** The held-out loss of one task in one language, or one pair of them. */
export interface PartLoss {
  readonly task: string;
  readonly language: string;
  /** Nats a token. */
  readonly loss: number;
  readonly tokens: number;
}

/** Adds losses of tokens up by the task and language of their sequence. */
export class PartLosses {
  readonly #parts: readonly EvaluationPart[];
  readonly #partOf: ReadonlyMap<number, number>;
  readonly #losses: Float64Array;
  readonly #tokens: Float64Array;
  readonly #seqLen: number;

  constructor({ evaluationParts = [], seqLen }: Pick<BatchSource, 'evaluationParts' | 'seqLen'>) {
    this.#parts = evaluationParts;
    this.#partOf = new Map(
      evaluationParts.flatMap(({ sequences }, part) =>
        sequences.map((sequence) => [sequence, part] as const),
      ),
    );
    this.#losses = new Float64Array(evaluationParts.length);
    this.#tokens = new Float64Array(evaluationParts.length);
    this.#seqLen = seqLen;
  }

  /** @param first - the sequence that the first tokens are of */
  add(first: number, losses_T: HostFloats, targets_T: Int32Array): void {
    for (const [row, target] of targets_T.entries()) {
      const part = target < 0 ? undefined : this.#partOf.get(first + Math.floor(row / this.#seqLen));
      if (part === undefined) continue;
      this.#losses[part] = (this.#losses[part] ?? 0) + (losses_T[row] ?? 0);
      this.#tokens[part] = (this.#tokens[part] ?? 0) + 1;
    }
  }

  /** Of every part that had a token. */
  means(): readonly PartLoss[] {
    return this.#parts.flatMap(({ task, language }, part) => {
      const tokens = this.#tokens[part] ?? 0;
      return tokens === 0 ? [] : [{ task, language, loss: (this.#losses[part] ?? 0) / tokens, tokens }];
    });
  }
}
