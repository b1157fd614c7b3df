/** What a shared tensor is for, by its name. */
const kinds = [
  ['norms', /norm/u],
  ['embedding', /embed/u],
  ['cross attention', /cross/u],
  ['attention', /attn|attention/u],
  ['shared experts', /shared_experts/u],
  ['dense FFN', /mlp/u],
  ['head', /lm_head/u],
] as const;

const kindOf = (name: string): string => kinds.find(([, pattern]) => pattern.test(name))?.[0] ?? 'other';

/** How alike two models are in weights that they do not keep apart. */
export interface Likeness {
  /** `attention`, …; `all` is the last. */
  readonly kind: string;
  readonly numParameters: number;
  /** Cosine of the angle between the two vectors, in [-1, 1]; null where one of them is zero. */
  readonly cosine: number | null;
}

interface Sums {
  numParameters: number;
  products: number;
  squaresA: number;
  squaresB: number;
}

/** Adds up, tensor by tensor, what cosines are made of. */
export class LikenessSums {
  readonly #byKind = new Map<string, Sums>();

  add(name: string, a: Float32Array, b: Float32Array): void {
    for (const kind of [kindOf(name), 'all']) {
      const sums = this.#byKind.get(kind) ?? { numParameters: 0, products: 0, squaresA: 0, squaresB: 0 };
      this.#byKind.set(kind, sums);
      sums.numParameters += a.length;
      for (const [index, left] of a.entries()) {
        const right = b[index] ?? 0;
        sums.products += left * right;
        sums.squaresA += left * left;
        sums.squaresB += right * right;
      }
    }
  }

  /** In the order in which kinds were first seen, all of them last. */
  likeness(): readonly Likeness[] {
    const found = [...this.#byKind].toSorted(([a], [b]) => Number(a === 'all') - Number(b === 'all'));
    return found.map(([kind, { numParameters, products, squaresA, squaresB }]) => {
      const length = Math.sqrt(squaresA) * Math.sqrt(squaresB);
      return { kind, numParameters, cosine: length > 0 ? products / length : null };
    });
  }
}
