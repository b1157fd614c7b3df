import type { ElementRange, Exchange } from '@troupe/spec';

/** A part that is complete here and goes to the other members of the group at a level. */
export interface Passing {
  readonly level: number;
  readonly part: ElementRange;
}

/**
 * The way up of an exchange: what every shard made of its own slice comes together, level by level, until everybody has everything.
 *
 * SPR-1: a shard passes on the part that it holds at a level once, when its own slice and what the groups above sent are complete, in
 * whatever order they came. SPR-2: a round is a version (or step) of an attempt; the first word of a new one forgets the old one.
 */
export class Spread {
  readonly #exchange: Exchange;
  readonly #arrived: number[];
  #round = '';
  #hasOwn = false;
  /** The level to which the next part goes, less one: all above have theirs. */
  #level: number;

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
    this.#arrived = Array.from({ length: exchange.numLevels }, () => 0);
    this.#level = exchange.numLevels;
  }

  /** The own slice is complete. */
  own(round: string): readonly Passing[] {
    this.#begin(round);
    this.#hasOwn = true;
    return this.#advance();
  }

  /** `elements` came from a member of the group at `level`. */
  accept(round: string, level: number, elements: number): readonly Passing[] {
    this.#begin(round);
    this.#arrived[level] = (this.#arrived[level] ?? 0) + elements;
    return this.#advance();
  }

  #begin(round: string): void {
    if (round === this.#round) return;
    this.#round = round;
    this.#hasOwn = false;
    this.#arrived.fill(0);
    this.#level = this.#exchange.numLevels;
  }

  #advance(): readonly Passing[] {
    const passed: Passing[] = [];
    while (this.#hasOwn && this.#level > 0 && this.#holds(this.#level)) {
      passed.push({ level: this.#level - 1, part: this.#exchange.part(this.#level) });
      this.#level--;
    }
    return passed;
  }

  /** Whether the part behind `level` levels is complete, given that the one behind the next is. */
  #holds(level: number): boolean {
    if (level === this.#exchange.numLevels) return true;
    const [whole, inner] = [this.#exchange.part(level), this.#exchange.part(level + 1)];
    return this.#arrived[level] === whole.to - whole.from - (inner.to - inner.from);
  }
}
